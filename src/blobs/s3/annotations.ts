import { fromBase64Url, toBase64Url, toHex, utf8 } from "../../core/base/bytes.ts";
import { EnvelockError, malformed } from "../../core/base/errors.ts";
import { gatheredBytes } from "../http.ts";
import { SIDECAR_END } from "../name.ts";
import type { BlobOverlays } from "../overlays.ts";
import type { S3Calls } from "./calls.ts";
import { called, settled } from "./refusals.ts";

/**
 * Keeps each overlay as an annotation of the object: text that changes without the object, and ends with it.
 *
 * A server that does not know annotations takes one for the object itself and replaces it. So the first write is preceded by a trial on an
 * object of its own. The service has no condition on the annotation, only on the object: of two rewraps at once the last one wins, and both
 * headers open the blob.
 */
export function annotations(calls: S3Calls): BlobOverlays {
  let trial: Promise<void> | undefined;
  const knows = async (name: string): Promise<void> => {
    trial ??= tried(calls, name);
    try {
      await trial;
    } catch (error) {
      trial = undefined;
      throw error;
    }
  };
  const read: BlobOverlays["read"] = async (name, { signal } = {}) =>
    await settled({ missing: () => undefined }, async () => {
      const { text, etag } = await calls.getAnnotation(name, ANNOTATION, signal ? { signal } : {});
      const [header, blobEtag, ...rest] = text.split(" ");
      const bytes = header === undefined ? undefined : fromBase64Url(header);
      if (bytes === undefined || blobEtag === undefined || rest.length > 0) throw malformed("the annotation of the blob holds no header");
      return { header: bytes, blobEtag, version: etag };
    });
  return {
    read,
    async write(name, { header, blobEtag = "" }, expected, options = {}) {
      const { signal } = options;
      await knows(name);
      if ((await read(name, options))?.version !== expected) return false;
      return await settled({ changed: () => false, missing: () => false }, async () => {
        const text = `${toBase64Url(header)} ${blobEtag}`;
        await calls.putAnnotation(name, ANNOTATION, text, { ifMatch: blobEtag, ...(signal && { signal }) });
        return true;
      });
    },
    remove: async () => undefined, // it went with its object
  };
}

/** Finds out whether the server knows annotations, on an object that nothing else is. */
async function tried(calls: S3Calls, name: string): Promise<void> {
  const key = `${name.slice(0, MOST_START)}.${toHex(crypto.getRandomValues(new Uint8Array(8)))}${SIDECAR_END}`;
  const content = { metadata: {}, headers: {} };
  const ifMatch = await called(() => calls.put(key, PROBE, content, { ifNoneMatch: "*" }));
  try {
    await called(() => calls.putAnnotation(key, ANNOTATION, "trial", { ifMatch }));
    const { etag, body } = await called(() => calls.get(key, 0, 100, {}));
    const { text } = await called(() => calls.getAnnotation(key, ANNOTATION, {}));
    const isWhole = etag === ifMatch && (await gatheredBytes(body, 100)).length === PROBE.length && text === "trial";
    if (!isWhole) throw new Error("the object is no longer what was put");
  } catch (cause) {
    throw new EnvelockError("provider-failure", "this server does not know annotations: it replaces the object by them", {
      cause,
      hint: 'leave `rewrap` at "sidecar" for this bucket',
    });
  } finally {
    await settled({ missing: () => undefined }, () => calls.remove(key, {})).catch(() => undefined);
  }
}

const ANNOTATION = "envelock-header";
const PROBE = utf8("a trial of annotations");
/** The start of a name, in characters, so that what is added fits the 1,024 bytes of a key. */
const MOST_START = 200;
