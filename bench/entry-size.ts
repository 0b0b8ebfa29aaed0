import { rolldown } from "rolldown";

/**
 * What one name of an entry adds to an application that has `Keyring` already, minified: the bundle of both less that of `Keyring` alone.
 * Bundled for Node from the built package, as an application would be.
 */
export async function entrySizeTable(): Promise<string> {
  const alone = await minifiedBytes(KEYRING);
  const rows = [`| Keyring | | ${alone.toLocaleString("en")} |`];
  for (const [entry, names] of ENTRIES) {
    for (const name of [...names, "*"]) {
      const own = name === "*" ? `export * from "${entry}";` : `export { ${name} } from "${entry}";`;
      const added = (await minifiedBytes(`${KEYRING}\n${own}`)) - alone;
      rows.push(`| ${entry} | ${name === "*" ? "all of it" : name} | ${added.toLocaleString("en")} |`);
    }
  }
  return ["| entry | name | bytes over Keyring |", "| --- | --- | ---: |", ...rows].join("\n");
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
const ENTRIES: readonly (readonly [entry: string, names: readonly string[]])[] = [
  ["envelock/providers/aws-kms", ["awsKmsKey", "instanceCredentials", "diagnoseAwsKmsKey"]],
  ["envelock/providers/gcp-kms", ["gcpKmsKey", "metadataServer", "diagnoseGcpKey"]],
  ["envelock/providers/vault", ["vaultTransitKey", "kubernetesLogin", "diagnoseVaultKey"]],
];
