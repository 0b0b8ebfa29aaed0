import { escapedXml } from "../../blobs/xml.ts";
import type { RawAnswer } from "../emulator/fault-plan.ts";

/**
 * An error as the service answers it: a code, a status and a message in XML.
 *
 * @example
 * ```ts
 * import { S3Answer, S3Emulator } from "envelock/testing/s3";
 *
 * const emulator = await S3Emulator.start();
 * emulator.failNext(new S3Answer("SlowDown", "Please reduce your request rate."), /PutObject/);
 * await emulator.close();
 * ```
 */
export class S3Answer extends Error {
  override readonly name = "S3Answer";
  /** The code, such as `NoSuchKey`. */
  readonly code: S3Code;
  readonly status: number;
  /** Further elements beside the code and the message. */
  readonly details: Readonly<Record<string, string>>;

  constructor(code: S3Code, message: string = MESSAGES[code] ?? code, details: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.status = STATUS[code];
    this.details = details;
  }

  /** @param requestId the one of the headers @param isBodiless whether the answer has no body, as one to HEAD */
  answer(requestId: string, resource: string, isBodiless: boolean): RawAnswer {
    const text = isBodiless ? "" : this.xml(requestId, resource);
    return { status: this.status, text, headers: { "content-type": "application/xml", ...EXTRA_HEADERS[this.code] } };
  }

  xml(requestId: string, resource: string): string {
    const details = { ...this.details, Resource: resource, RequestId: requestId };
    const elements = Object.entries(details).map(([name, value]) => `<${name}>${escapedXml(value)}</${name}>`);
    return `${XML}<Error><Code>${this.code}</Code><Message>${escapedXml(this.message)}</Message>${elements.join("")}</Error>`;
  }
}

/** The codes of errors that the emulator knows. */
export type S3Code = keyof typeof STATUS;

export function isS3Code(text: string): text is S3Code {
  return Object.hasOwn(STATUS, text);
}

export function preconditionFailed(condition: string): S3Answer {
  return new S3Answer("PreconditionFailed", undefined, { Condition: condition });
}

export function invalidArgument(name: string, value: string, message: string): S3Answer {
  return new S3Answer("InvalidArgument", message, { ArgumentName: name, ArgumentValue: value });
}

export function notImplemented(what: string): S3Answer {
  return new S3Answer("NotImplemented", "A header you provided implies functionality that is not implemented", { Header: what });
}

export const XML = '<?xml version="1.0" encoding="UTF-8"?>\n';

const STATUS = {
  AccessDenied: 403,
  AnnotationLimitExceeded: 400,
  AnnotationNameTooLong: 400,
  AuthorizationHeaderMalformed: 400,
  AuthorizationQueryParametersError: 400,
  BadDigest: 400,
  BadRequest: 400,
  BucketAlreadyExists: 409,
  BucketAlreadyOwnedByYou: 409,
  BucketNotEmpty: 409,
  ConditionalRequestConflict: 409,
  EncryptionTypeMismatch: 400,
  EntityTooLarge: 400,
  EntityTooSmall: 400,
  ExpiredToken: 400,
  IdempotencyParameterMismatch: 400,
  IncompleteBody: 400,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidAnnotationName: 400,
  InvalidArgument: 400,
  InvalidBucketName: 400,
  InvalidDigest: 400,
  InvalidObjectState: 403,
  InvalidPart: 400,
  InvalidPartOrder: 400,
  InvalidPrefix: 400,
  InvalidRange: 416,
  InvalidRequest: 400,
  InvalidStorageClass: 400,
  InvalidTag: 400,
  InvalidToken: 400,
  InvalidURI: 400,
  InvalidWriteOffset: 400,
  KeyTooLongError: 400,
  MalformedXML: 400,
  MetadataTooLarge: 400,
  MethodNotAllowed: 405,
  MissingContentLength: 411,
  NoSuchAnnotation: 404,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NoSuchUpload: 404,
  NoSuchVersion: 404,
  NotImplemented: 501,
  ObjectAlreadyInActiveTierError: 403,
  ObjectNotInActiveTierError: 403,
  OperationAborted: 409,
  PreconditionFailed: 412,
  RequestTimeout: 400,
  RequestTimeTooSkewed: 403,
  ServiceUnavailable: 503,
  SignatureDoesNotMatch: 403,
  SlowDown: 503,
  StorageFull: 507,
  TooManyParts: 400,
  UnsupportedMediaType: 415,
  XAmzContentSHA256Mismatch: 400,
} as const;

const MESSAGES: Readonly<Partial<Record<S3Code, string>>> = {
  AccessDenied: "Access Denied",
  BadDigest: "The checksum you specified did not match the calculated checksum.",
  ConditionalRequestConflict: "The conditional request cannot succeed due to a conflicting operation against this resource.",
  EntityTooLarge: "Your proposed upload exceeds the maximum allowed size",
  EntityTooSmall: "Your proposed upload is smaller than the minimum allowed size",
  IncompleteBody: "You did not provide the number of bytes specified by the Content-Length HTTP header",
  InternalError: "We encountered an internal error. Please try again.",
  InvalidPart:
    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
  InvalidPartOrder: "The list of parts was not in ascending order. Parts must be ordered by part number.",
  InvalidRange: "The requested range is not satisfiable",
  MalformedXML: "The XML you provided was not well-formed or did not validate against our published schema",
  MetadataTooLarge: "Your metadata headers exceed the maximum allowed metadata size",
  MethodNotAllowed: "The specified method is not allowed against this resource.",
  MissingContentLength: "You must provide the Content-Length HTTP header.",
  NoSuchBucket: "The specified bucket does not exist",
  NoSuchKey: "The specified key does not exist.",
  NoSuchUpload: "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
  NoSuchVersion: "The specified version does not exist.",
  PreconditionFailed: "At least one of the pre-conditions you specified did not hold",
  RequestTimeout:
    "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.",
  ServiceUnavailable: "Service is unable to handle request.",
  SignatureDoesNotMatch:
    "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
  SlowDown: "Please reduce your request rate.",
};

const EXTRA_HEADERS: Readonly<Partial<Record<S3Code, Readonly<Record<string, string>>>>> = {
  EntityTooLarge: { connection: "close" },
};
