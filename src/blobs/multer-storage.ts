import { invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown, requireMethods } from "../core/base/options.ts";
import type { EncryptedStore } from "./encrypted-store.ts";
import type { PutOptions } from "./encrypted-store-options.ts";

/** The part of a file of multer that is used. What a client says of it is not verified. */
export interface MulterFile {
  readonly stream: AsyncIterable<Uint8Array>;
  readonly originalname: string;
  readonly mimetype: string;
}

/** What multer puts into `req.file` for a stored blob. */
export interface MulterBlob {
  readonly blobName: string;
  readonly etag: string;
  /** The length of the plaintext. */
  readonly size: number;
}

/** A storage engine as multer calls it. */
export interface MulterStorage<Request> {
  _handleFile(request: Request, file: MulterFile, done: (error?: unknown, info?: Partial<MulterBlob>) => void): void;
  _removeFile(request: Request, file: Partial<MulterBlob>, done: (error: Error | null) => void): void;
}

export interface MulterStorageOptions<Request> {
  /** Names the blob of a file: by an id of the application's, not by the name that the client states. */
  readonly name: (request: Request, file: MulterFile) => string | Promise<string>;
  /** Options of `put` for a file. Defaults to a description of the client's name and type. */
  readonly put?: (request: Request, file: MulterFile) => PutOptions;
}

/**
 * Makes a storage engine for multer that encrypts each file into a store. A file over multer's limit, and one whose client breaks off, is
 * not stored.
 *
 * @throws `invalid-argument` for bad options
 * @example
 * ```ts
 * import { type EncryptedStore, multerStorage } from "envelock/blobs";
 *
 * // const upload = multer({ storage: storageOf(store), limits: { fileSize: 50_000_000 }, defParamCharset: "utf8" });
 * export const storageOf = (store: EncryptedStore) => multerStorage(store, { name: () => `uploads/${crypto.randomUUID()}` });
 * ```
 */
export function multerStorage<Request>(store: EncryptedStore, options: MulterStorageOptions<Request>): MulterStorage<Request> {
  refuseUnknown(options, OPTIONS, "multerStorage");
  const { name: nameOf, put: optionsOf = described } = options;
  requireMethods(store, ["put", "delete"], "multerStorage takes a store", "`encryptedStore` makes one.");
  if (typeof nameOf !== "function") throw invalidArgument("name must be a function that names the blob of a file");
  const stored = async (request: Request, file: MulterFile): Promise<MulterBlob> => {
    const blobName = await nameOf(request, file);
    const { etag, plaintextBytes } = await store.put(blobName, file.stream, optionsOf(request, file));
    return { blobName, etag, size: plaintextBytes };
  };
  return {
    _handleFile(request, file, done) {
      stored(request, file).then((info) => done(undefined, info), done);
    },
    _removeFile(_request, { blobName, etag }, done) {
      const removed = async (): Promise<unknown> =>
        blobName === undefined ? undefined : await store.delete(blobName, etag === undefined ? {} : { ifMatch: etag });
      removed().then(
        () => done(null),
        (error: unknown) => done(error instanceof Error ? error : new Error(`${error}`)),
      );
    },
  };
}

function described(_request: unknown, { originalname, mimetype }: MulterFile): PutOptions {
  const type = /^[\x20-\x7e]{1,255}$/.test(mimetype) ? mimetype : undefined;
  const name = new TextDecoder().decode(new TextEncoder().encode(originalname.slice(0, 255))); // no half of a surrogate pair is left
  return { describe: { ...(name !== "" && { name }), ...(type !== undefined && { type }) } };
}

const OPTIONS: OptionNames<MulterStorageOptions<unknown>> = { name: true, put: true };
