import type { Context } from "../../core/base/context.ts";
import { isTenantId } from "./tenant-id.ts";
import type { TenantRecord } from "./tenant-record.ts";

/** One life of a tenant id. A shredded id that is invited again begins the next one. */
export type TenantLife = Pick<TenantRecord, "id" | "epoch">;

/** The key context of a life. A later life of an id has another one, so that it opens nothing of an earlier life. */
export function contextOfLife({ id, epoch }: TenantLife): Context {
  const text = epochText(epoch);
  return text === undefined ? { tenant: id } : { tenant: id, [EPOCH]: text };
}

/** Whether a key context, with whatever else is in it, belongs to this life, and not to an earlier or a later one of the same id. */
export function isOfLife({ tenant, [EPOCH]: text }: Context, { id, epoch }: TenantLife): boolean {
  return tenant === id && text === epochText(epoch);
}

/**
 * Returns the life that a key context belongs to. Undefined for one without a tenant, and for an epoch in any other spelling than
 * `contextOfLife` writes: no life opens that.
 */
export function lifeOfContext(context: Context): TenantLife | undefined {
  const { tenant: id, [EPOCH]: text = "1" } = context;
  const life = isTenantId(id) && { id, epoch: Number(text) };
  return life !== false && Number.isSafeInteger(life.epoch) && life.epoch >= 1 && isOfLife(context, life) ? life : undefined;
}

function epochText(epoch: number): string | undefined {
  return epoch === 1 ? undefined : `${epoch}`;
}

/** The key of the pair that the library adds from the second life on. */
const EPOCH = "tenant-epoch";
