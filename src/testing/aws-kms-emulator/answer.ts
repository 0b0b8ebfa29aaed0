import type { RawAnswer } from "../emulator/fault-plan.ts";

/**
 * An error as the services answer it: a type, a status and a message.
 *
 * @example
 * ```ts
 * import { AwsAnswer, AwsKmsEmulator } from "envelock/testing/aws-kms-emulator";
 *
 * const emulator = await AwsKmsEmulator.start();
 * emulator.failNext(new AwsAnswer("KMSInvalidStateException", "The key is updating."), /Encrypt/);
 * await emulator.close();
 * ```
 */
export class AwsAnswer extends Error {
  override readonly name = "AwsAnswer";
  /** The code, such as `NotFoundException`. */
  readonly type: string;
  readonly status: number;

  constructor(type: string, message: string, status: number = SERVER_FAULTS.has(type) ? 500 : 400) {
    super(message);
    this.type = type;
    this.status = status;
  }

  /** Writes the error in the form of the key service. */
  get json(): RawAnswer {
    return { status: this.status, text: JSON.stringify({ __type: this.type, message: this.message }) };
  }

  /** Writes the error in the form of the security token service. */
  get xml(): RawAnswer {
    const text =
      `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${this.type}</Code>` +
      `<Message>${this.message.replaceAll(/[<>&]/g, " ")}</Message></Error></ErrorResponse>`;
    return { status: this.status, text, headers: { "content-type": "text/xml" } };
  }
}

export function notFound(keyId: string): AwsAnswer {
  return new AwsAnswer("NotFoundException", `Key '${keyId}' does not exist`);
}

export function accessDenied(principal: string, action: string): AwsAnswer {
  const why = "because no identity-based policy or resource-based policy allows it";
  return new AwsAnswer("AccessDeniedException", `User: ${principal} is not authorized to perform: ${action} on this resource ${why}`);
}

/** Errors for which the services have no message. */
export function invalidCiphertext(): AwsAnswer {
  return new AwsAnswer("InvalidCiphertextException", "");
}

export function throttled(): AwsAnswer {
  return new AwsAnswer("ThrottlingException", "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.");
}

export function validation(message: string): AwsAnswer {
  return new AwsAnswer("ValidationException", message);
}

const SERVER_FAULTS: ReadonlySet<string> = new Set(["KMSInternalException", "KeyUnavailableException", "DependencyTimeoutException"]);
