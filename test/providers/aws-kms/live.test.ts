import { describeLive } from "../../support/live.ts";
import { awsLiveSuite } from "./live-suite.ts";

// Two symmetric keys of the real service, with the rights of docs/providers/aws-kms.md on both. A run makes some hundred requests.

const VARIABLES = ["ENVELOCK_LIVE_AWS_KEY", "ENVELOCK_LIVE_AWS_OTHER_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

describeLive("AWS KMS", VARIABLES, (keyArn = "", otherArn = "", accessKeyId = "", secretAccessKey = "") => {
  const { AWS_SESSION_TOKEN: sessionToken } = process.env;
  awsLiveSuite({ keyArn, otherArn, credentials: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) } });
});
