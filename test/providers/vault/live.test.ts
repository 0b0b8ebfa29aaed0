import { readFileSync } from "node:fs";
import { httpsFetch } from "../../../src/node/index.ts";
import { describeLive } from "../../support/live.ts";
import { vaultLiveSuite } from "./live-suite.ts";

// Two AEAD keys of a Vault or OpenBao server, with the rights of docs/providers/vault.md on both. A run makes some hundred requests.
// VAULT_NAMESPACE, VAULT_CACERT and ENVELOCK_LIVE_VAULT_MOUNT are taken where they are set.

const VARIABLES = ["ENVELOCK_LIVE_VAULT_KEY", "ENVELOCK_LIVE_VAULT_OTHER_KEY", "VAULT_ADDR", "VAULT_TOKEN"];

describeLive("Vault", VARIABLES, (key = "", otherKey = "", address = "", token = "") => {
  const { VAULT_NAMESPACE: namespace, VAULT_CACERT: ca, ENVELOCK_LIVE_VAULT_MOUNT: mount } = process.env;
  vaultLiveSuite({
    key,
    otherKey,
    address,
    token,
    ...(namespace !== undefined && { namespace }),
    ...(mount !== undefined && { mount }),
    ...(ca !== undefined && { fetch: httpsFetch({ ca: readFileSync(ca, "utf8") }) }),
  });
});
