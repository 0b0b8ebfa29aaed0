import { describeLive } from "../../support/live.ts";
import { gcpLiveSuite } from "./live-suite.ts";

// Two symmetric keys of the real service, with the rights of docs/providers/gcp-kms.md on both, and an access token for them. A run makes
// some hundred requests.

const VARIABLES = ["ENVELOCK_LIVE_GCP_KEY", "ENVELOCK_LIVE_GCP_OTHER_KEY", "ENVELOCK_LIVE_GCP_TOKEN"];

describeLive("Google Cloud KMS", VARIABLES, (key = "", otherKey = "", token = "") => {
  gcpLiveSuite({ key, otherKey, token: async () => ({ token }) });
});
