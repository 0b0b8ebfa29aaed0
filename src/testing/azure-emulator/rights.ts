/** The kind of a request: its data action, its permission in an access policy, and its name in the audit log. */
interface RequestTraits {
  readonly action: string;
  readonly permission: string;
  readonly audited: string;
}

/** A right of a principal. Lists and deleted keys need `read`, as in the service's roles. */
export type Right = keyof typeof RIGHTS;

/** The service's names of the right that a request needs. */
export function traitsOf(right: Right): RequestTraits {
  const [action, permission, audited] = RIGHTS[right];
  return { action, permission, audited };
}

const RIGHTS = {
  read: ["keys/read", "keys get", "KeyGet"],
  create: ["keys/create/action", "keys create", "KeyCreate"],
  import: ["keys/import/action", "keys import", "KeyImport"],
  update: ["keys/update/action", "keys update", "KeyUpdate"],
  rotate: ["keys/rotate/action", "keys rotate", "KeyRotate"],
  readpolicy: ["keyrotationpolicies/read", "keys getrotationpolicy", "KeyRotationPolicyGet"],
  writepolicy: ["keyrotationpolicies/write", "keys setrotationpolicy", "KeyRotationPolicySet"],
  backup: ["keys/backup/action", "keys backup", "KeyBackup"],
  restore: ["keys/restore/action", "keys restore", "KeyRestore"],
  delete: ["keys/delete", "keys delete", "KeyDelete"],
  recover: ["keys/recover/action", "keys recover", "KeyRecover"],
  purge: ["keys/purge/action", "keys purge", "KeyPurge"],
  wrapkey: ["keys/wrap/action", "keys wrapKey", "KeyWrap"],
  unwrapkey: ["keys/unwrap/action", "keys unwrapKey", "KeyUnwrap"],
  encrypt: ["keys/encrypt/action", "keys encrypt", "KeyEncrypt"],
  decrypt: ["keys/decrypt/action", "keys decrypt", "KeyDecrypt"],
  sign: ["keys/sign/action", "keys sign", "KeySign"],
  verify: ["keys/verify/action", "keys verify", "KeyVerify"],
  random: ["rng/action", "keys random", "RandomBytesGet"],
  readsecret: ["secrets/getSecret/action", "secrets get", "SecretGet"],
  writesecret: ["secrets/setSecret/action", "secrets set", "SecretSet"],
  deletesecret: ["secrets/delete", "secrets delete", "SecretDelete"],
  recoversecret: ["secrets/recover/action", "secrets recover", "SecretRecover"],
  purgesecret: ["secrets/purge/action", "secrets purge", "SecretPurge"],
  readcertificate: ["certificates/read", "certificates get", "CertificateGet"],
  createcertificate: ["certificates/create/action", "certificates create", "CertificateCreate"],
  updatecertificate: ["certificates/update/action", "certificates update", "CertificateUpdate"],
  deletecertificate: ["certificates/delete", "certificates delete", "CertificateDelete"],
  recovercertificate: ["certificates/recover/action", "certificates recover", "CertificateRecover"],
  purgecertificate: ["certificates/purge/action", "certificates purge", "CertificatePurge"],
} as const;
