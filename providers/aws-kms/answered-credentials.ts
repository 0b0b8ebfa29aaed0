import { textFieldOf } from "../http/fields.ts";
import { type AwsCredentials, credentialsIn } from "./credentials.ts";

/** Reads the credentials in a service's answer; undefined if it holds none. @param tokenName the member that has the session token */
export function answeredCredentials(answer: unknown, tokenName: "Token" | "SessionToken"): AwsCredentials | undefined {
  const expiration = textFieldOf(answer, "Expiration");
  return credentialsIn({
    accessKeyId: textFieldOf(answer, "AccessKeyId") ?? "",
    secretAccessKey: textFieldOf(answer, "SecretAccessKey") ?? "",
    sessionToken: textFieldOf(answer, tokenName) ?? "",
    ...(expiration !== undefined && { expiration: new Date(expiration) }),
  });
}
