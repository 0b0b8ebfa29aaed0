export type { Pkcs11Clock } from "./clock.ts";
export type { Pkcs11KeySelector, Pkcs11Pin, Pkcs11TokenOptions, Pkcs11TokenSelector } from "./options.ts";
export { type Pkcs11KeyOptions, pkcs11Key } from "./pkcs11-key.ts";
export { type Pkcs11Uri, parsePkcs11Uri } from "./pkcs11-uri.ts";
export type { Pkcs11Mechanism } from "./wrappings.ts";
