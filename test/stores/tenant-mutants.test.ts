import type { TenantPage, TenantPlace, TenantRow } from "../../src/core/contracts/tenant-store.ts";
import { tenantStoreConformance } from "../../src/stores/conformance/index.ts";
import { memoryTenantStore } from "../../src/tenants/stores/memory.ts";
import { documentMutants } from "./mutants/document-mutants.ts";
import { testMutants } from "./mutants/test-mutants.ts";

const MUTANTS = documentMutants<TenantPlace, TenantRow, TenantRow, TenantPage>({
  lookalikes: "ids that look alike, and kinds, are apart",
  list: "a list gives each row of a kind once, by id",
  nameOf: ({ kind, id }) => `${kind} ${id}`,
  invented: (place) => ({ ...place, revision: 1, document: "{}" }),
  lowered: (row) => ({ ...row, id: row.id.toLowerCase() }),
});

testMutants("tenants", MUTANTS, (change = () => ({})) => {
  const [sound, shared] = [memoryTenantStore(), { isClosed: false }];
  return tenantStoreConformance({ open: () => ({ ...sound, ...change(sound, shared) }) });
});
