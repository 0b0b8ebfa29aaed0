/** The services whose rules the emulator can follow. */
export type S3Service = "aws" | "r2" | "minio" | "no-conditions";

/** What distinguishes a service from others that speak the same protocol. */
export interface ServiceTraits {
  /** Whether conditions on PutObject and CompleteMultipartUpload are checked. A service that does not know them writes without a word. */
  readonly checksWrites: boolean;
  /** Whether DeleteObject heeds If-Match. A service that does not deletes without a word. */
  readonly checksDeletes: boolean;
  /** The headers of a condition on the destination of CopyObject; undefined if the service checks none. */
  readonly copyCondition: CopyCondition | undefined;
  /** Whether conditions on the source of a copy are checked. */
  readonly checksCopySource: boolean;
  /** Whether all parts but the last must have the same length. */
  readonly wantsEqualParts: boolean;
  /** Whether objects have annotations. A service that does not know them takes PutObjectAnnotation for PutObject. */
  readonly hasAnnotations: boolean;
  readonly hasTags: boolean;
  readonly hasVersions: boolean;
  /** The regions that a signature may name; undefined for the bucket's alone. */
  readonly regions: readonly string[] | undefined;
}

export interface CopyCondition {
  readonly ifMatch: string;
  readonly ifNoneMatch: string;
}

export function isS3Service(text: string): text is S3Service {
  return Object.hasOwn(SERVICES, text);
}

export const WRITE_CONDITION: CopyCondition = { ifMatch: "if-match", ifNoneMatch: "if-none-match" };
const OTHERS = { wantsEqualParts: false, hasAnnotations: false, hasTags: true, hasVersions: true } as const;

export const SERVICES: Readonly<Record<S3Service, ServiceTraits>> = {
  aws: {
    ...OTHERS,
    checksWrites: true,
    checksDeletes: true,
    copyCondition: WRITE_CONDITION,
    checksCopySource: true,
    hasAnnotations: true,
    regions: undefined,
  },
  r2: {
    checksWrites: true,
    checksDeletes: false,
    copyCondition: { ifMatch: "cf-copy-destination-if-match", ifNoneMatch: "cf-copy-destination-if-none-match" },
    checksCopySource: true,
    wantsEqualParts: true,
    hasAnnotations: false,
    hasTags: false,
    hasVersions: false,
    regions: ["auto", "us-east-1"],
  },
  minio: { ...OTHERS, checksWrites: true, checksDeletes: false, copyCondition: undefined, checksCopySource: true, regions: undefined },
  "no-conditions": {
    ...OTHERS,
    checksWrites: false,
    checksDeletes: false,
    copyCondition: undefined,
    checksCopySource: false,
    regions: undefined,
  },
};

export const SERVICE_NAMES: readonly string[] = Object.keys(SERVICES);
