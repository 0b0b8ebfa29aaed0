// The credentials of a source, for the command line, which signs requests to S3 with them. No entry of the package.
export { credentialsOf } from "../credentials.ts";
