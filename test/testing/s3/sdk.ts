import type { S3EmulatorConnection } from "../../../src/testing/s3/index.ts";
import { type S3Sdk, s3Sdk } from "../../support/s3.ts";

/** A client of AWS's SDK that sends a command by its name, once. */
export interface SdkClient {
  readonly sdk: S3Sdk;
  readonly client: ReturnType<NodeJS.Require>;
  /** Sends a command such as `PutObject`. */
  send(command: string, input: object): Promise<ReturnType<NodeJS.Require>>;
  /** Sends GetObject, and reads the body. */
  bytes(input: object): Promise<Uint8Array>;
}

export function sdkClient(connection: S3EmulatorConnection, options: object = {}): SdkClient {
  const sdk = s3Sdk();
  const client = new sdk.s3.S3Client({ ...connection, maxAttempts: 1, ...options });
  const send = async (command: string, input: object): Promise<ReturnType<NodeJS.Require>> =>
    await client.send(new sdk.s3[`${command}Command`](input));
  return {
    sdk,
    client,
    send,
    async bytes(input) {
      const { Body } = await send("GetObject", input);
      return await Body.transformToByteArray();
    },
  };
}
