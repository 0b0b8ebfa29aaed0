import { createServer, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import type { HeldCall } from "../../providers/conformance/index.ts";
import { ToyFailure, ToyKeyService } from "../providers/toy/toy-key-service.ts";

/** The key service of providers/README.md, on a loopback port. */
export interface Sealer extends Disposable {
  readonly url: string;
  readonly token: string;
  calls(): number;
  addVersion(key: string): void;
  failNext(status: number): void;
  holdNext(): HeldCall;
}

export async function startSealer(): Promise<Sealer> {
  const service = new ToyKeyService();
  service.addVersion("orders");
  service.addVersion("invoices");
  const server = createServer(async (request, response) => {
    const { status, body } = await answerTo(request, service);
    response
      .writeHead(status, { "content-type": "application/json", ...(status === 429 && { "retry-after": "2" }) })
      .end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("the server has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    token: TOKEN,
    calls: () => service.calls,
    addVersion: (key) => service.addVersion(key),
    failNext: (status) => service.failNext(status),
    holdNext: () => service.holdNext(),
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function answerTo(request: IncomingMessage, service: ToyKeyService): Promise<Answer> {
  if (request.headers.authorization !== `Bearer ${TOKEN}`) return { status: 401, body: {} };
  try {
    return { status: 200, body: await work(request.url ?? "", JSON.parse(await text(request)), service) };
  } catch (error) {
    if (!(error instanceof ToyFailure)) return { status: 500, body: {} };
    return { status: error.status === 400 ? 422 : error.status, body: {} };
  }
}

async function work(path: string, asked: Question, service: ToyKeyService): Promise<Answer["body"]> {
  const [, key = "", version = "", verb = ""] = /^\/keys\/([a-z]+)\/(newest|\d+)(?:\/(wrap|unwrap))?$/.exec(path) ?? [];
  if (version === "newest") return { version: `${await service.latest(key)}` };
  const aad = Buffer.from(asked.aad ?? "", "base64url");
  if (verb === "wrap")
    return { wrapped: base64Url((await service.encrypt(key, Number(version), aad, Buffer.from(asked.key ?? "", "base64url"))) ?? NOTHING) };
  return { key: base64Url((await service.decrypt(key, Number(version), aad, Buffer.from(asked.wrapped ?? "", "base64url"))) ?? NOTHING) };
}

const NOTHING = new Uint8Array(0);

function base64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}

interface Question {
  readonly aad?: string;
  readonly key?: string;
  readonly wrapped?: string;
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, string>>;
}

const TOKEN = "token-of-the-example";
