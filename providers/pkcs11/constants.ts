// The numbers of PKCS#11 v3.1 that are needed here, under the standard's own names. pkcs11js has most of them, but loading it for a
// number would load native code.

export const CKF_RW_SESSION = 0x2;
export const CKF_SERIAL_SESSION = 0x4;
export const CKF_OS_LOCKING_OK = 0x2;
export const CKF_LOGIN_REQUIRED = 0x4;
export const CKF_PROTECTED_AUTHENTICATION_PATH = 0x100;
export const CKF_TOKEN_INITIALIZED = 0x400;
export const CKU_USER = 1;

export const CKF_ENCRYPT = 0x100;
export const CKF_DECRYPT = 0x200;
export const CKF_WRAP = 0x20000;
export const CKF_UNWRAP = 0x40000;

export const CKO_PUBLIC_KEY = 2;
export const CKO_PRIVATE_KEY = 3;
export const CKO_SECRET_KEY = 4;
export const CKK_RSA = 0x00;
export const CKK_AES = 0x1f;

export const CKA_CLASS = 0x000;
export const CKA_TOKEN = 0x001;
export const CKA_PRIVATE = 0x002;
export const CKA_LABEL = 0x003;
export const CKA_VALUE = 0x011;
export const CKA_KEY_TYPE = 0x100;
export const CKA_ID = 0x102;
export const CKA_SENSITIVE = 0x103;
export const CKA_ENCRYPT = 0x104;
export const CKA_DECRYPT = 0x105;
export const CKA_WRAP = 0x106;
export const CKA_UNWRAP = 0x107;
export const CKA_START_DATE = 0x110;
export const CKA_END_DATE = 0x111;
export const CKA_MODULUS = 0x120;
export const CKA_PUBLIC_EXPONENT = 0x122;
export const CKA_EXTRACTABLE = 0x162;

export const CKM_RSA_PKCS_OAEP = 0x0009;
export const CKM_SHA_1 = 0x0220;
export const CKM_SHA256 = 0x0250;
export const CKM_AES_GCM = 0x1087;
export const CKM_AES_KEY_WRAP = 0x2109;
/** RFC 5649 on some tokens, PKCS #7 padding and RFC 3394 on others. */
export const CKM_AES_KEY_WRAP_PAD = 0x210a;
export const CKM_AES_KEY_WRAP_KWP = 0x210b;
export const CKG_MGF1_SHA1 = 1;
export const CKG_MGF1_SHA256 = 2;
export const CKZ_DATA_SPECIFIED = 1;

export const CKR_SLOT_ID_INVALID = 0x003;
export const CKR_HOST_MEMORY = 0x002;
export const CKR_GENERAL_ERROR = 0x005;
export const CKR_FUNCTION_FAILED = 0x006;
export const CKR_ARGUMENTS_BAD = 0x007;
export const CKR_ATTRIBUTE_SENSITIVE = 0x011;
export const CKR_ATTRIBUTE_TYPE_INVALID = 0x012;
export const CKR_DATA_INVALID = 0x020;
export const CKR_DATA_LEN_RANGE = 0x021;
export const CKR_DEVICE_ERROR = 0x030;
export const CKR_DEVICE_MEMORY = 0x031;
export const CKR_DEVICE_REMOVED = 0x032;
export const CKR_ENCRYPTED_DATA_INVALID = 0x040;
export const CKR_ENCRYPTED_DATA_LEN_RANGE = 0x041;
export const CKR_FUNCTION_CANCELED = 0x050;
export const CKR_KEY_HANDLE_INVALID = 0x060;
export const CKR_KEY_FUNCTION_NOT_PERMITTED = 0x068;
export const CKR_MECHANISM_INVALID = 0x070;
export const CKR_MECHANISM_PARAM_INVALID = 0x071;
export const CKR_OBJECT_HANDLE_INVALID = 0x082;
export const CKR_OPERATION_ACTIVE = 0x090;
export const CKR_OPERATION_NOT_INITIALIZED = 0x091;
export const CKR_PIN_INCORRECT = 0x0a0;
export const CKR_PIN_INVALID = 0x0a1;
export const CKR_PIN_LEN_RANGE = 0x0a2;
export const CKR_PIN_EXPIRED = 0x0a3;
export const CKR_PIN_LOCKED = 0x0a4;
export const CKR_SESSION_CLOSED = 0x0b0;
export const CKR_SESSION_COUNT = 0x0b1;
export const CKR_SESSION_HANDLE_INVALID = 0x0b3;
export const CKR_TOKEN_NOT_PRESENT = 0x0e0;
export const CKR_TOKEN_NOT_RECOGNIZED = 0x0e1;
export const CKR_UNWRAPPING_KEY_HANDLE_INVALID = 0x0f0;
export const CKR_USER_ALREADY_LOGGED_IN = 0x100;
export const CKR_USER_NOT_LOGGED_IN = 0x101;
export const CKR_USER_PIN_NOT_INITIALIZED = 0x102;
export const CKR_USER_TYPE_INVALID = 0x103;
export const CKR_USER_ANOTHER_ALREADY_LOGGED_IN = 0x104;
export const CKR_USER_TOO_MANY_TYPES = 0x105;
export const CKR_WRAPPED_KEY_INVALID = 0x110;
export const CKR_WRAPPED_KEY_LEN_RANGE = 0x112;
export const CKR_WRAPPING_KEY_HANDLE_INVALID = 0x113;
export const CKR_CRYPTOKI_NOT_INITIALIZED = 0x190;
export const CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191;
export const CKR_FUNCTION_REJECTED = 0x200;
