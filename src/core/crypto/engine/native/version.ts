/** The version of this package, and of the only `@envelock/native` that it takes. A test compares the three manifests with it. */
export const NATIVE_VERSION = "0.1.0";
