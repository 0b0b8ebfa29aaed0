import { installPackages, missingPackages } from "./debian-packages.ts";

// Part of `npm test`: what the tests need of Debian, in one go and before their clocks run. Where that cannot be, the test that needs
// a part fails and names it.

const PACKAGES = [
  "chromium",
  "dbus",
  "fish",
  "gcc",
  "iproute2",
  "libc6-dev",
  "libnss3",
  "libnss3-tools",
  "libtpm2-pkcs11-1",
  "libtpm2-pkcs11-tools",
  "libtss2-tcti-swtpm0",
  "libtss2-tcti-tabrmd0",
  "opencryptoki",
  "opensc",
  "p11-kit",
  "p11-kit-modules",
  "postgresql",
  "python3-azure-storage",
  "python3-boto3",
  "python3-hvac",
  "redis-server",
  "softhsm2",
  "swtpm",
  "tpm2-abrmd",
  "zsh",
];

const missing = missingPackages(PACKAGES);
if (missing.length > 0) {
  console.log(`installing ${missing.join(", ")}`);
  try {
    installPackages(missing);
  } catch {
    console.log("apt-get could not: the tests that need them will say so");
  }
}
