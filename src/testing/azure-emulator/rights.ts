/** What a request is, for the rights that it needs: its data action, its permission in an access policy, its name in the audit log. */
interface RequestTraits {
  readonly action: string;
  readonly permission: string;
  readonly audited: string;
}

/** What a principal may be allowed to do. Lists and deleted keys go with `read`, as they do in the roles. */
export type Right = keyof typeof RIGHTS;

/** The right that a request needs, as the service names it in each place. */
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
} as const;
