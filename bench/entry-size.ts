import { rolldown } from "rolldown";

/**
 * What one name of an entry adds, minified, to an application that has `Keyring` already, and to one that has the keys of the two other
 * services too: its own code, without what the services share. Bundled for Node from the built package, as an application would be.
 */
export async function entrySizeTable(): Promise<string> {
  const alone = await minifiedBytes(KEYRING);
  const rows = [`| Keyring | | ${alone.toLocaleString("en")} | |`];
  for (const [entry, names] of ENTRIES) {
    const others = ENTRIES.filter(([other]) => other !== entry).map(([other, [key]]) => `export { ${key} } from "${other}";`);
    const shared = [KEYRING, ...others].join("\n");
    const withOthers = await minifiedBytes(shared);
    for (const name of [...names, "*"]) {
      const own = name === "*" ? `export * from "${entry}";` : `export { ${name} } from "${entry}";`;
      const added = (await minifiedBytes(`${KEYRING}\n${own}`)) - alone;
      const ofItsOwn = (await minifiedBytes(`${shared}\n${own}`)) - withOthers;
      const figures = `${added.toLocaleString("en")} | ${ofItsOwn.toLocaleString("en")}`;
      rows.push(`| ${entry} | ${name === "*" ? "all of it" : name} | ${figures} |`);
    }
  }
  const head = "| entry | name | bytes over Keyring | over Keyring and the two other services |";
  return [head, "| --- | --- | ---: | ---: |", ...rows].join("\n");
}

async function minifiedBytes(source: string): Promise<number> {
  const bundle = await rolldown({
    input: "application",
    external: /^node:/,
    platform: "node",
    plugins: [
      {
        name: "application",
        resolveId: (id) => (id === "application" ? `${import.meta.dirname}/application.mjs` : null),
        load: (id) => (id.endsWith("/application.mjs") ? source : null),
      },
    ],
  });
  const { output } = await bundle.generate({ format: "esm", minify: true, codeSplitting: false });
  await bundle.close();
  return output.reduce((sum, part) => sum + (part.type === "chunk" ? Buffer.byteLength(part.code) : 0), 0);
}

const KEYRING = 'export { Keyring } from "envelock";';
const ENTRIES: readonly (readonly [entry: string, names: readonly [key: string, ...others: string[]]])[] = [
  ["envelock/providers/aws-kms", ["awsKmsKey", "instanceCredentials", "diagnoseAwsKmsKey"]],
  ["envelock/providers/gcp-kms", ["gcpKmsKey", "metadataServer", "diagnoseGcpKey"]],
  ["envelock/providers/vault", ["vaultTransitKey", "kubernetesLogin", "diagnoseVaultKey"]],
];
