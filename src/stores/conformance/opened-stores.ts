/** Runs a case and closes what it opened, also when it failed. */
export async function withStores<Store extends { close?(): void | Promise<void> }>(
  harness: { open(): Store | Promise<Store> },
  run: (open: () => Promise<Store>) => Promise<void>,
): Promise<void> {
  const opened: Store[] = [];
  try {
    await run(async () => {
      const store = await harness.open();
      opened.push(store);
      return store;
    });
  } finally {
    await Promise.allSettled(opened.map(async (store) => await store.close?.()));
  }
}
