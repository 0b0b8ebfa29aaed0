// Whole constructions of Envelock over the OpenSSL that Node itself exports: XAES-256-GCM from text to text, HKDF, a body, a run of
// chunks. Node-API 8 and OpenSSL 3.0, nothing else, and of the C library only what every one has.
//
// What holds for all of it:
// - It knows no object of JavaScript beyond a call. Keys are brought for each call, so no pointer is ever handed out, wrapped or
//   finalized, and there is no handle that could be forged, confused or used after it was freed.
// - It reads each argument once, and checks its kind and each length before the first byte is touched. What does not fit throws a
//   TypeError. Memory that other threads share is not taken.
// - It does no asynchronous work and calls no JavaScript between reading an argument and answering, so no array can be detached, resized
//   or collected meanwhile.
// - Plaintext is written to where JavaScript sees it, and wiped there before the call ends if its tag does not fit.
#include <node_api.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef ENVELOCK_VERSION
#error "the build script says which version this is: -DENVELOCK_VERSION"
#endif

enum {
  BLOCK = 16,
  KEY = 32,
  TAG = 16,
  GCM_NONCE = 12,
  XAES_NONCE = 24,
  XAES_OVERHEAD = XAES_NONCE + TAG,
  KEPT = 2 * KEY, // of XAES: the key, and the two blocks of the derivation for a nonce of zeros
  SALT = 24,
  COMMITMENT = 32,
  BODY_PREFIX = SALT + COMMITMENT,
  CHUNK = 16384,
  SEALED_CHUNK = CHUNK + TAG,
  CHUNK_KEYS = KEY + GCM_NONCE,
  BODY_KEYS = CHUNK_KEYS + COMMITMENT,
  MAX_DIGEST = 64,
  MAX_DIGEST_BLOCK = 128,
  POOL = 3072,
};

// The scratch: one ArrayBuffer through which all that is small goes in and out, because taking an array apart costs as much as
// encrypting what is in it. Its regions are named in src/core/crypto/engine/native/scratch.ts too.
enum {
  AAD_AT = 0,
  AAD_ROOM = 8704,
  SECRET_AT = AAD_AT + AAD_ROOM, // a key for this call: of XAES, HMAC, a body, or key and base of chunks
  SECRET_ROOM = 128,
  INFO_AT = SECRET_AT + SECRET_ROOM,
  INFO_ROOM = 8704,
  PREFIX_AT = INFO_AT + INFO_ROOM, // of a token: it ends where the message begins
  PREFIX_ROOM = 32,
  MESSAGE_AT = PREFIX_AT + PREFIX_ROOM, // nonce | ciphertext | tag, or what is derived
  MESSAGE_ROOM = 1024,
  SCRATCH = MESSAGE_AT + MESSAGE_ROOM,
};

// Text longer than this goes another way. The stack holds it three times.
enum { MAX_TEXT = 4096, MAX_TOKEN = MAX_TEXT + PREFIX_ROOM + XAES_OVERHEAD, MAX_TOKEN_TEXT = (MAX_TOKEN + 2) / 3 * 4 };

// One for each thread that loads this.
typedef struct {
  napi_ref scratch;
  EVP_CIPHER *gcm, *ecb;
  EVP_MD *sha256, *sha512;
  EVP_CIPHER_CTX *sealing, *opening, *blocks;
  EVP_MD_CTX *digest, *inner, *outer; // of an HMAC: one that works, and the two beginnings
  bool has_block_key; // whether `blocks` is keyed with what follows: of many tokens under one key, only the first has to set it
  uint8_t block_key[KEY];
  uint8_t pool[POOL]; // of random bytes, wiped as they are used
  size_t pool_used;
} thread_state;

typedef struct {
  uint8_t *at;
  size_t bytes;
} span;

// ---- what comes in and what goes out ----------------------------------------------------------------------------------------

static napi_value wrong_argument(napi_env env, const char *message) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_VALUE", message);
  return NULL;
}

// Errors of OpenSSL stay in a queue of the thread, where node:crypto would find them and take them for its own.
static napi_value openssl_failed(napi_env env, const char *message) {
  ERR_clear_error();
  napi_throw_error(env, "ERR_CRYPTO_OPERATION_FAILED", message);
  return NULL;
}

static napi_value refused(napi_env env) {
  napi_value no;
  ERR_clear_error();
  return napi_get_boolean(env, false, &no) == napi_ok ? no : NULL;
}

static napi_value accepted(napi_env env) {
  napi_value yes;
  return napi_get_boolean(env, true, &yes) == napi_ok ? yes : NULL;
}

// Says that another way has to be taken.
static napi_value declined(napi_env env) {
  napi_value nothing;
  return napi_get_undefined(env, &nothing) == napi_ok ? nothing : NULL;
}

static napi_value count_of(napi_env env, size_t bytes) {
  napi_value count;
  return napi_create_int64(env, (int64_t)bytes, &count) == napi_ok ? count : NULL;
}

// A whole number from 0 to `most`.
static bool size_in(napi_env env, napi_value value, uint64_t most, size_t *size) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok) return false;
  if (!(number >= 0 && number <= (double)most) || number != (double)(uint64_t)number) return false;
  *size = (size_t)number;
  return true;
}

// A Uint8Array in memory of this thread alone. A detached one, and one that a smaller buffer leaves outside, has no bytes.
static bool bytes_in(napi_env env, napi_value value, span *bytes) {
  static uint8_t nothing[1];
  napi_typedarray_type type;
  napi_value buffer;
  void *data;
  bool is_own;
  if (napi_get_typedarray_info(env, value, &type, &bytes->bytes, &data, &buffer, NULL) != napi_ok || type != napi_uint8_array) return false;
  if (napi_is_arraybuffer(env, buffer, &is_own) != napi_ok || !is_own) return false;
  bytes->at = bytes->bytes == 0 ? nothing : data;
  return bytes->at != NULL;
}

static bool bytes_of_length(napi_env env, napi_value value, size_t length, span *bytes) {
  return bytes_in(env, value, bytes) && bytes->bytes == length;
}

// The scratch is found anew in each call: it may have been detached, for it is an ArrayBuffer like any other.
static uint8_t *scratch_of(napi_env env, const thread_state *state) {
  napi_value buffer;
  void *data;
  size_t bytes;
  if (napi_get_reference_value(env, state->scratch, &buffer) != napi_ok || buffer == NULL) return NULL;
  if (napi_get_arraybuffer_info(env, buffer, &data, &bytes) != napi_ok || bytes != SCRATCH) return NULL;
  return data;
}

// The arguments of a call, of which there may be fewer or more than COUNT: what is missing is undefined.
#define ARGUMENTS(COUNT)                                                                                                       \
  size_t given = (COUNT);                                                                                                      \
  napi_value argument[(COUNT)];                                                                                                \
  void *data;                                                                                                                  \
  if (napi_get_cb_info(env, info, &given, argument, NULL, &data) != napi_ok) return wrong_argument(env, "no arguments");      \
  thread_state *state = data

#define SCRATCH_ARGUMENTS(COUNT)                                                                                               \
  ARGUMENTS(COUNT);                                                                                                            \
  uint8_t *scratch = scratch_of(env, state);                                                                                   \
  if (scratch == NULL) return wrong_argument(env, "the scratch is gone")

// The first two arguments of what works under a key. Throws if they do not fit.
static bool key_arguments(napi_env env, const napi_value *argument, span *kept, size_t *aad_bytes) {
  const char *wrong = !bytes_of_length(env, argument[0], KEPT, kept)    ? "what is kept of a key has 64 bytes"
                      : !size_in(env, argument[1], AAD_ROOM, aad_bytes) ? "so much AAD has no room"
                                                                        : NULL;
  if (wrong != NULL) wrong_argument(env, wrong);
  return wrong == NULL;
}

// Two arguments: where to write, and from which offset on. Throws if they do not fit.
static bool target_arguments(napi_env env, const napi_value *argument, span *target, size_t *offset) {
  const char *wrong = !bytes_in(env, argument[0], target)                  ? "a target is a Uint8Array of its own memory"
                      : !size_in(env, argument[1], target->bytes, offset) ? "the offset is outside of the target"
                                                                          : NULL;
  if (wrong != NULL) wrong_argument(env, wrong);
  return wrong == NULL;
}

// ---- AES-256-GCM --------------------------------------------------------------------------------------------------------------

// Adds what was written to `written`. Without a key, that of the last call stays.
static bool gcm_seal(EVP_CIPHER_CTX *cipher, const uint8_t *key, const uint8_t *nonce, span aad, span plaintext, uint8_t *sealed,
                     size_t *written) {
  int added = 0, done = 0;
  OSSL_PARAM tag[] = {OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, TAG), OSSL_PARAM_END};
  if (aad.bytes > INT32_MAX || plaintext.bytes > INT32_MAX) return false;
  if (EVP_EncryptInit_ex2(cipher, NULL, key, nonce, NULL) != 1) return false;
  if (aad.bytes > 0 && EVP_EncryptUpdate(cipher, NULL, &done, aad.at, (int)aad.bytes) != 1) return false;
  if (plaintext.bytes > 0 && EVP_EncryptUpdate(cipher, sealed, &added, plaintext.at, (int)plaintext.bytes) != 1) return false;
  if (EVP_EncryptFinal_ex(cipher, sealed + added, &done) != 1) return false;
  tag->data = sealed + added + done;
  if (EVP_CIPHER_CTX_get_params(cipher, tag) != 1) return false;
  *written += (size_t)(added + done) + TAG;
  return true;
}

// `sealed` ends in the tag. Wipes the plaintext if that does not fit.
static bool gcm_open(EVP_CIPHER_CTX *cipher, const uint8_t *key, const uint8_t *nonce, span aad, span sealed, uint8_t *plaintext,
                     size_t *written) {
  int added = 0, done = 0;
  size_t bytes = sealed.bytes - TAG;
  if (aad.bytes > INT32_MAX || bytes > INT32_MAX) return false;
  OSSL_PARAM tag[] = {OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, sealed.at + bytes, TAG), OSSL_PARAM_END};
  bool is_open = EVP_DecryptInit_ex2(cipher, NULL, key, nonce, tag) == 1 &&
                 (aad.bytes == 0 || EVP_DecryptUpdate(cipher, NULL, &done, aad.at, (int)aad.bytes) == 1) &&
                 (bytes == 0 || EVP_DecryptUpdate(cipher, plaintext, &added, sealed.at, (int)bytes) == 1) &&
                 EVP_DecryptFinal_ex(cipher, plaintext + added, &done) == 1;
  if (!is_open) {
    OPENSSL_cleanse(plaintext, bytes);
    return false;
  }
  *written += (size_t)(added + done);
  return true;
}

static bool random_nonce(thread_state *state, uint8_t *nonce, size_t bytes) {
  if (bytes > POOL - state->pool_used) {
    if (RAND_bytes(state->pool, POOL) != 1) return false;
    state->pool_used = 0;
  }
  uint8_t *drawn = state->pool + state->pool_used;
  memcpy(nonce, drawn, bytes);
  OPENSSL_cleanse(drawn, bytes);
  state->pool_used += bytes;
  return true;
}

// random(bytes): straight from the generator into the scratch, for keys
static napi_value js_random(napi_env env, napi_callback_info info) {
  SCRATCH_ARGUMENTS(1);
  size_t bytes;
  if (!size_in(env, argument[0], MESSAGE_ROOM, &bytes)) return wrong_argument(env, "so many bytes have no room");
  return RAND_bytes(scratch + MESSAGE_AT, (int)bytes) == 1 ? accepted(env) : openssl_failed(env, "there is no randomness");
}

// ---- XAES-256-GCM (C2SP) ------------------------------------------------------------------------------------------------------

static bool key_blocks(thread_state *state, const uint8_t key[KEY]) {
  if (state->has_block_key && CRYPTO_memcmp(state->block_key, key, KEY) == 0) return true;
  state->has_block_key = EVP_EncryptInit_ex2(state->blocks, NULL, key, NULL, NULL) == 1;
  memcpy(state->block_key, key, KEY);
  return state->has_block_key;
}

// kept = key | M1 xor K1 | M2 xor K1, for a nonce of zeros; K1 is AES(0) doubled (SP 800-38B §6.1)
static bool xaes_prepare(thread_state *state, const uint8_t key[KEY], uint8_t kept[KEPT]) {
  uint8_t subkey[BLOCK] = {0};
  int done;
  if (!key_blocks(state, key)) return false;
  if (EVP_EncryptUpdate(state->blocks, subkey, &done, subkey, BLOCK) != 1 || done != BLOCK) return false;
  uint8_t high = subkey[0] >> 7;
  for (int at = 0; at < BLOCK - 1; at++) subkey[at] = (uint8_t)(subkey[at] << 1 | subkey[at + 1] >> 7);
  subkey[BLOCK - 1] = (uint8_t)(subkey[BLOCK - 1] << 1 ^ (0x87 & -high));
  memcpy(kept, key, KEY);
  for (uint8_t half = 0; half < 2; half++) {
    uint8_t *mask = kept + KEY + BLOCK * half;
    memcpy(mask, subkey, BLOCK);
    mask[1] ^= (uint8_t)(half + 1);
    mask[2] ^= 0x58;
  }
  OPENSSL_cleanse(subkey, BLOCK);
  return true;
}

static bool xaes_key(thread_state *state, const uint8_t kept[KEPT], const uint8_t nonce[XAES_NONCE], uint8_t key[KEY]) {
  int done;
  memcpy(key, kept + KEY, KEY);
  for (int at = 0; at < 12; at++) {
    key[4 + at] ^= nonce[at];
    key[BLOCK + 4 + at] ^= nonce[at];
  }
  return key_blocks(state, kept) && EVP_EncryptUpdate(state->blocks, key, &done, key, KEY) == 1 && done == KEY;
}

// Writes `ciphertext | tag` behind the nonce.
static bool xaes_seal(thread_state *state, const uint8_t *kept, span aad, span plaintext, const uint8_t *nonce, uint8_t *sealed,
                      size_t *written) {
  uint8_t key[KEY];
  bool is_sealed = xaes_key(state, kept, nonce, key) &&
                   gcm_seal(state->sealing, key, nonce + XAES_NONCE - GCM_NONCE, aad, plaintext, sealed, written);
  OPENSSL_cleanse(key, KEY);
  return is_sealed;
}

// `sealed` is nonce | ciphertext | tag, and has room for both ends.
static bool xaes_open(thread_state *state, const uint8_t *kept, span aad, span sealed, uint8_t *plaintext, size_t *written) {
  uint8_t key[KEY];
  span rest = {sealed.at + XAES_NONCE, sealed.bytes - XAES_NONCE};
  bool is_open = xaes_key(state, kept, sealed.at, key) &&
                 gcm_open(state->opening, key, sealed.at + XAES_NONCE - GCM_NONCE, aad, rest, plaintext, written);
  OPENSSL_cleanse(key, KEY);
  return is_open;
}

// prepare(kept): the key stands in the scratch, and is wiped there
static napi_value js_prepare(napi_env env, napi_callback_info info) {
  SCRATCH_ARGUMENTS(1);
  span kept;
  if (!bytes_of_length(env, argument[0], KEPT, &kept)) return wrong_argument(env, "what is kept of a key has 64 bytes");
  bool is_done = xaes_prepare(state, scratch + SECRET_AT, kept.at);
  OPENSSL_cleanse(scratch + SECRET_AT, KEY);
  return is_done ? accepted(env) : openssl_failed(env, "a key could not be prepared");
}

// seal(kept, aadBytes, bytes, isFresh): the message stands in the scratch. Writes a nonce before it where one is asked for.
static napi_value js_seal(napi_env env, napi_callback_info info) {
  SCRATCH_ARGUMENTS(4);
  span kept;
  size_t aad_bytes, bytes, written = 0;
  bool is_fresh;
  if (!key_arguments(env, argument, &kept, &aad_bytes)) return NULL;
  if (!size_in(env, argument[2], MESSAGE_ROOM - XAES_OVERHEAD, &bytes)) return wrong_argument(env, "such a message has no room");
  if (napi_get_value_bool(env, argument[3], &is_fresh) != napi_ok) return wrong_argument(env, "whether the nonce is new is true or false");
  uint8_t *nonce = scratch + MESSAGE_AT, *text = nonce + XAES_NONCE;
  if (is_fresh && !random_nonce(state, nonce, XAES_NONCE)) return openssl_failed(env, "there is no randomness");
  if (!xaes_seal(state, kept.at, (span){scratch + AAD_AT, aad_bytes}, (span){text, bytes}, nonce, text, &written)) {
    OPENSSL_cleanse(text, bytes + TAG);
    return openssl_failed(env, "a message could not be sealed");
  }
  return count_of(env, XAES_NONCE + written);
}

// open(kept, aadBytes, bytes): of the plaintext, which takes its place in the scratch.
static napi_value js_open(napi_env env, napi_callback_info info) {
  SCRATCH_ARGUMENTS(3);
  span kept;
  size_t aad_bytes, bytes, written = 0;
  if (!key_arguments(env, argument, &kept, &aad_bytes)) return NULL;
  if (!size_in(env, argument[2], MESSAGE_ROOM - XAES_OVERHEAD, &bytes)) return wrong_argument(env, "such a message has no room");
  span sealed = {scratch + MESSAGE_AT, bytes + XAES_OVERHEAD};
  bool is_open = xaes_open(state, kept.at, (span){scratch + AAD_AT, aad_bytes}, sealed, sealed.at + XAES_NONCE, &written);
  return is_open && written == bytes ? accepted(env) : refused(env);
}

// sealInto(kept, aadBytes, plaintext, target, offset)
static napi_value js_seal_into(napi_env env, napi_callback_info info) {
  SCRATCH_ARGUMENTS(5);
  span kept, plaintext, target;
  size_t aad_bytes, offset, written = 0;
  if (!key_arguments(env, argument, &kept, &aad_bytes)) return NULL;
  if (!bytes_in(env, argument[2], &plaintext)) return wrong_argument(env, "a plaintext is a Uint8Array of its own memory");
  if (!target_arguments(env, argument + 3, &target, &offset)) return NULL;
  if (plaintext.bytes > INT32_MAX) return declined(env);
  if (target.bytes - offset < plaintext.bytes + XAES_OVERHEAD) return wrong_argument(env, "the target has no room for the message");
  uint8_t *nonce = target.at + offset;
  if (!random_nonce(state, nonce, XAES_NONCE)) return openssl_failed(env, "there is no randomness");
  if (!xaes_seal(state, kept.at, (span){scratch + AAD_AT, aad_bytes}, plaintext, nonce, nonce + XAES_NONCE, &written))
    return openssl_failed(env, "a message could not be sealed");
  return count_of(env, XAES_NONCE + written);
}

// openInto(kept, aadBytes, sealed, offset, target): what is sealed ends with its array, and the target has just its length
static napi_value js_open_into(napi_env env, napi_callback_info info) {
  SCRATCH_ARGUMENTS(5);
  span kept, sealed, target;
  size_t aad_bytes, offset, written = 0;
  if (!key_arguments(env, argument, &kept, &aad_bytes)) return NULL;
  if (!bytes_in(env, argument[2], &sealed)) return wrong_argument(env, "a sealed message is a Uint8Array of its own memory");
  if (!size_in(env, argument[3], sealed.bytes, &offset)) return wrong_argument(env, "the offset is outside of the message");
  if (!bytes_in(env, argument[4], &target)) return wrong_argument(env, "a target is a Uint8Array of its own memory");
  sealed = (span){sealed.at + offset, sealed.bytes - offset};
  if (sealed.bytes < XAES_OVERHEAD || sealed.bytes - XAES_OVERHEAD != target.bytes)
    return wrong_argument(env, "the target has another length than the plaintext");
  if (target.bytes > INT32_MAX) return declined(env);
  bool is_open = xaes_open(state, kept.at, (span){scratch + AAD_AT, aad_bytes}, sealed, target.at, &written);
  return is_open && written == target.bytes ? accepted(env) : refused(env);
}

// ---- text ---------------------------------------------------------------------------------------------------------------------

// RFC 4648 §5, without padding
static size_t to_base64url(const uint8_t *bytes, size_t count, char *text) {
  static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  char *end = text;
  for (; count >= 3; bytes += 3, count -= 3) {
    uint32_t group = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
    *end++ = DIGITS[group >> 18];
    *end++ = DIGITS[group >> 12 & 63];
    *end++ = DIGITS[group >> 6 & 63];
    *end++ = DIGITS[group & 63];
  }
  if (count == 0) return (size_t)(end - text);
  uint32_t rest = (uint32_t)bytes[0] << 16 | (count == 2 ? (uint32_t)bytes[1] << 8 : 0);
  *end++ = DIGITS[rest >> 18];
  *end++ = DIGITS[rest >> 12 & 63];
  if (count == 2) *end++ = DIGITS[rest >> 6 & 63];
  return (size_t)(end - text);
}

// 64 and its value for each digit, 0 for what is none: so one bit of all of them together tells whether all are digits.
static const uint8_t DIGIT_OF[256] = {
    ['A'] = 64 + 0, ['B'] = 64 + 1, ['C'] = 64 + 2, ['D'] = 64 + 3, ['E'] = 64 + 4, ['F'] = 64 + 5, ['G'] = 64 + 6,
    ['H'] = 64 + 7, ['I'] = 64 + 8, ['J'] = 64 + 9, ['K'] = 64 + 10, ['L'] = 64 + 11, ['M'] = 64 + 12, ['N'] = 64 + 13,
    ['O'] = 64 + 14, ['P'] = 64 + 15, ['Q'] = 64 + 16, ['R'] = 64 + 17, ['S'] = 64 + 18, ['T'] = 64 + 19, ['U'] = 64 + 20,
    ['V'] = 64 + 21, ['W'] = 64 + 22, ['X'] = 64 + 23, ['Y'] = 64 + 24, ['Z'] = 64 + 25, ['a'] = 64 + 26, ['b'] = 64 + 27,
    ['c'] = 64 + 28, ['d'] = 64 + 29, ['e'] = 64 + 30, ['f'] = 64 + 31, ['g'] = 64 + 32, ['h'] = 64 + 33, ['i'] = 64 + 34,
    ['j'] = 64 + 35, ['k'] = 64 + 36, ['l'] = 64 + 37, ['m'] = 64 + 38, ['n'] = 64 + 39, ['o'] = 64 + 40, ['p'] = 64 + 41,
    ['q'] = 64 + 42, ['r'] = 64 + 43, ['s'] = 64 + 44, ['t'] = 64 + 45, ['u'] = 64 + 46, ['v'] = 64 + 47, ['w'] = 64 + 48,
    ['x'] = 64 + 49, ['y'] = 64 + 50, ['z'] = 64 + 51, ['0'] = 64 + 52, ['1'] = 64 + 53, ['2'] = 64 + 54, ['3'] = 64 + 55,
    ['4'] = 64 + 56, ['5'] = 64 + 57, ['6'] = 64 + 58, ['7'] = 64 + 59, ['8'] = 64 + 60, ['9'] = 64 + 61, ['-'] = 64 + 62,
    ['_'] = 64 + 63,
};

// Takes the one text of some bytes alone: bits that stand for nothing are zero.
static bool from_base64url(const uint8_t *text, size_t characters, uint8_t *bytes, size_t *count) {
  uint8_t *end = bytes;
  uint32_t all = characters % 4 == 1 ? 0 : 64;
  for (; characters >= 4; text += 4, characters -= 4) {
    uint32_t a = DIGIT_OF[text[0]], b = DIGIT_OF[text[1]], c = DIGIT_OF[text[2]], d = DIGIT_OF[text[3]];
    all &= a & b & c & d;
    *end++ = (uint8_t)(a << 2 | (b & 63) >> 4);
    *end++ = (uint8_t)(b << 4 | (c & 63) >> 2);
    *end++ = (uint8_t)(c << 6 | (d & 63));
  }
  if (characters >= 2) {
    uint32_t a = DIGIT_OF[text[0]], b = DIGIT_OF[text[1]], c = characters == 3 ? DIGIT_OF[text[2]] : 64;
    all &= a & b & c;
    *end++ = (uint8_t)(a << 2 | (b & 63) >> 4);
    if (characters == 3) *end++ = (uint8_t)(b << 4 | (c & 63) >> 2);
    if (characters == 3 ? (c & 3) != 0 : (b & 15) != 0) all = 0;
  }
  *count = (size_t)(end - bytes);
  return all != 0;
}

static size_t ascii_bytes(const uint8_t *bytes, size_t count) {
  size_t at = 0;
  for (uint64_t eight; at + 8 <= count; at += 8) {
    memcpy(&eight, bytes + at, 8);
    if ((eight & 0x8080808080808080u) != 0) break;
  }
  while (at < count && bytes[at] < 0x80) at++;
  return at;
}

// RFC 3629 §4
static bool is_utf8(const uint8_t *bytes, size_t count) {
  for (size_t at = 0; at < count;) {
    uint8_t first = bytes[at++];
    if (first < 0x80) continue;
    size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || count - at < more) return false;
    uint8_t least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80, most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (bytes[at] < least || bytes[at] > most) return false;
    for (size_t next = 1; next < more; next++)
      if (bytes[at + next] < 0x80 || bytes[at + next] > 0xbf) return false;
    at += more;
  }
  return true;
}

// U+FFFD, which is what Node-API makes of a lone surrogate. It may stand in a text by right too, which then goes another way.
static bool has_replacement(const uint8_t *bytes, size_t count) {
  for (size_t at = ascii_bytes(bytes, count); at + 2 < count; at++)
    if (bytes[at] == 0xef && bytes[at + 1] == 0xbf && bytes[at + 2] == 0xbd) return true;
  return false;
}

// sealText(kept, aadBytes, prefixBytes, text): to base64url of `prefix | nonce | ciphertext | tag`, the prefix ending at the message
static napi_value js_seal_text(napi_env env, napi_callback_info info) {
  SCRATCH_ARGUMENTS(4);
  uint8_t text[MAX_TEXT + 8], token[MAX_TOKEN]; // with room for one character more, so that a longer text shows
  char encoded[MAX_TOKEN_TEXT];
  span kept;
  size_t aad_bytes, prefix_bytes, bytes, written = 0;
  if (!key_arguments(env, argument, &kept, &aad_bytes)) return NULL;
  if (!size_in(env, argument[2], PREFIX_ROOM, &prefix_bytes)) return wrong_argument(env, "such a prefix has no room");
  if (napi_get_value_string_utf8(env, argument[3], (char *)text, sizeof text, &bytes) != napi_ok)
    return wrong_argument(env, "a text is a string");
  bool is_taken = bytes <= MAX_TEXT && !has_replacement(text, bytes), is_sealed = false;
  if (is_taken) {
    uint8_t *nonce = token + prefix_bytes;
    memcpy(token, scratch + MESSAGE_AT - prefix_bytes, prefix_bytes);
    is_sealed = random_nonce(state, nonce, XAES_NONCE) && xaes_seal(state, kept.at, (span){scratch + AAD_AT, aad_bytes},
                                                                    (span){text, bytes}, nonce, nonce + XAES_NONCE, &written);
  }
  OPENSSL_cleanse(text, bytes < sizeof text ? bytes : sizeof text);
  if (!is_taken) return declined(env);
  if (!is_sealed || written != bytes + TAG) return openssl_failed(env, "a text could not be sealed");
  napi_value result;
  size_t characters = to_base64url(token, prefix_bytes + XAES_NONCE + written, encoded);
  return napi_create_string_latin1(env, encoded, characters, &result) == napi_ok ? result : NULL;
}

// openText(kept, aadBytes, prefixBytes, token): the text, or false if the tag does not fit
static napi_value js_open_text(napi_env env, napi_callback_info info) {
  SCRATCH_ARGUMENTS(4);
  uint8_t encoded[MAX_TOKEN_TEXT + 8], token[MAX_TOKEN];
  span kept;
  size_t aad_bytes, prefix_bytes, characters, bytes, written = 0;
  if (!key_arguments(env, argument, &kept, &aad_bytes)) return NULL;
  if (!size_in(env, argument[2], PREFIX_ROOM, &prefix_bytes)) return wrong_argument(env, "such a prefix has no room");
  // UTF-8, because Latin-1 would take some foreign characters for digits
  if (napi_get_value_string_utf8(env, argument[3], (char *)encoded, sizeof encoded, &characters) != napi_ok)
    return wrong_argument(env, "a token is a string");
  if (characters > MAX_TOKEN_TEXT - 4 || !from_base64url(encoded, characters, token, &bytes)) return declined(env);
  if (bytes < prefix_bytes + XAES_OVERHEAD || memcmp(token, scratch + MESSAGE_AT - prefix_bytes, prefix_bytes) != 0) return declined(env);
  span sealed = {token + prefix_bytes, bytes - prefix_bytes};
  uint8_t *text = sealed.at + XAES_NONCE;
  if (!xaes_open(state, kept.at, (span){scratch + AAD_AT, aad_bytes}, sealed, text, &written)) return refused(env);
  napi_value result = NULL;
  napi_status status = ascii_bytes(text, written) == written ? napi_create_string_latin1(env, (char *)text, written, &result)
                       : is_utf8(text, written)              ? napi_create_string_utf8(env, (char *)text, written, &result)
                                                             : napi_get_undefined(env, &result);
  OPENSSL_cleanse(text, written);
  return status == napi_ok ? result : NULL;
}

// ---- HKDF-Expand (RFC 5869 §2.3) ----------------------------------------------------------------------------------------------

typedef struct {
  const EVP_MD *algorithm;
  size_t bytes, block;
} hash_kind;

// The two beginnings of an HMAC (RFC 2104), keyed once for all blocks. The key has a block of the hash at most.
static bool key_hmac(thread_state *state, hash_kind hash, span key) {
  uint8_t pad[MAX_DIGEST_BLOCK];
  memset(pad, 0x36, hash.block);
  for (size_t at = 0; at < key.bytes; at++) pad[at] ^= key.at[at];
  bool is_done = EVP_DigestInit_ex(state->inner, hash.algorithm, NULL) == 1 && EVP_DigestUpdate(state->inner, pad, hash.block) == 1;
  for (size_t at = 0; at < hash.block; at++) pad[at] ^= 0x36 ^ 0x5c;
  is_done = is_done && EVP_DigestInit_ex(state->outer, hash.algorithm, NULL) == 1 && EVP_DigestUpdate(state->outer, pad, hash.block) == 1;
  OPENSSL_cleanse(pad, sizeof pad);
  return is_done;
}

// The HMAC of `before | message | counter`. Unless it is the last one under a key, it works on a copy of each beginning.
static bool hmac(thread_state *state, hash_kind hash, bool is_last, span before, span message, uint8_t counter, uint8_t mac[MAX_DIGEST]) {
  unsigned done;
  EVP_MD_CTX *inner = is_last ? state->inner : state->digest, *outer = is_last ? state->outer : state->digest;
  return (is_last || EVP_MD_CTX_copy_ex(inner, state->inner) == 1) &&
         (before.bytes == 0 || EVP_DigestUpdate(inner, before.at, before.bytes) == 1) &&
         EVP_DigestUpdate(inner, message.at, message.bytes) == 1 && EVP_DigestUpdate(inner, &counter, 1) == 1 &&
         EVP_DigestFinal_ex(inner, mac, &done) == 1 && (is_last || EVP_MD_CTX_copy_ex(outer, state->outer) == 1) &&
         EVP_DigestUpdate(outer, mac, hash.bytes) == 1 && EVP_DigestFinal_ex(outer, mac, &done) == 1;
}

static bool expand(thread_state *state, bool is_wide, span key, span context, uint8_t *derived, size_t bytes) {
  uint8_t block[MAX_DIGEST];
  hash_kind hash = is_wide ? (hash_kind){state->sha512, 64, 128} : (hash_kind){state->sha256, 32, 64};
  span before = {block, 0};
  bool is_copied = bytes > hash.bytes, is_done = key.bytes <= hash.block && key_hmac(state, hash, key);
  for (uint8_t counter = 1; is_done && bytes > 0; counter++) {
    size_t taken = bytes < hash.bytes ? bytes : hash.bytes;
    is_done = hmac(state, hash, bytes == taken, before, context, counter, block);
    if (is_done) memcpy(derived, block, taken);
    derived += taken;
    bytes -= taken;
    before.bytes = hash.bytes;
  }
  EVP_DigestInit_ex(state->inner, hash.algorithm, NULL); // what is derived stands in a context until its next beginning
  EVP_DigestInit_ex(state->outer, hash.algorithm, NULL);
  if (is_copied) EVP_DigestInit_ex(state->digest, hash.algorithm, NULL);
  OPENSSL_cleanse(block, sizeof block);
  return is_done;
}

// expand(isWide, keyBytes, infoBytes, bytes): SHA-512 or SHA-256, all in the scratch. Wipes the key.
static napi_value js_expand(napi_env env, napi_callback_info info) {
  SCRATCH_ARGUMENTS(4);
  bool is_wide;
  size_t key_bytes, info_bytes, bytes;
  if (napi_get_value_bool(env, argument[0], &is_wide) != napi_ok) return wrong_argument(env, "whether the hash is SHA-512 is true or false");
  if (!size_in(env, argument[1], is_wide ? MAX_DIGEST_BLOCK : MAX_DIGEST_BLOCK / 2, &key_bytes))
    return wrong_argument(env, "the key has a block of the hash at most");
  if (!size_in(env, argument[2], INFO_ROOM, &info_bytes)) return wrong_argument(env, "so much info has no room");
  if (!size_in(env, argument[3], MESSAGE_ROOM, &bytes)) return wrong_argument(env, "so much output has no room");
  bool is_done = expand(state, is_wide, (span){scratch + SECRET_AT, key_bytes}, (span){scratch + INFO_AT, info_bytes}, scratch + MESSAGE_AT,
                        bytes);
  OPENSSL_cleanse(scratch + SECRET_AT, key_bytes);
  if (is_done) return accepted(env);
  OPENSSL_cleanse(scratch + MESSAGE_AT, bytes);
  return openssl_failed(env, "a key could not be derived");
}

// ---- chunks and bodies: docs/format.md §6 -------------------------------------------------------------------------------------

// The nonce of a chunk: base xor its number, big endian.
static void chunk_nonce(const uint8_t base[GCM_NONCE], uint64_t number, uint8_t nonce[GCM_NONCE]) {
  memcpy(nonce, base, GCM_NONCE);
  for (int at = GCM_NONCE - 1; number > 0; at--, number >>= 8) nonce[at] ^= (uint8_t)number;
}

// Whole chunks, and at the end of a body the short one, which may be empty.
static size_t sealed_chunks(size_t bytes, bool is_end) { return bytes / CHUNK + (is_end ? 1 : 0); }

// keys = key 32 | base 12
static bool seal_chunks(thread_state *state, const uint8_t *keys, uint64_t first, span plaintext, size_t chunks, uint8_t *sealed,
                        size_t *written) {
  uint8_t nonce[GCM_NONCE];
  size_t before = *written;
  for (size_t index = 0; index < chunks; index++) {
    size_t start = index * CHUNK, rest = plaintext.bytes - start;
    span chunk = {plaintext.at + start, rest < CHUNK ? rest : CHUNK};
    chunk_nonce(keys + KEY, first + index, nonce);
    if (!gcm_seal(state->sealing, index == 0 ? keys : NULL, nonce, (span){0}, chunk, sealed + (*written - before), written)) return false;
  }
  return true;
}

// Wipes what the chunks before a wrong one have written.
static bool open_chunks(thread_state *state, const uint8_t *keys, uint64_t first, span sealed, uint8_t *plaintext, size_t *written) {
  uint8_t nonce[GCM_NONCE];
  size_t opened = 0;
  for (size_t start = 0, index = 0; start < sealed.bytes; start += SEALED_CHUNK, index++) {
    size_t rest = sealed.bytes - start;
    span chunk = {sealed.at + start, rest < SEALED_CHUNK ? rest : SEALED_CHUNK};
    chunk_nonce(keys + KEY, first + index, nonce);
    if (!gcm_open(state->opening, index == 0 ? keys : NULL, nonce, (span){0}, chunk, plaintext + opened, &opened)) {
      OPENSSL_cleanse(plaintext, opened);
      return false;
    }
  }
  *written += opened;
  return true;
}

static bool are_chunks(size_t sealed_bytes) {
  size_t last = sealed_bytes % SEALED_CHUNK;
  return last == 0 || last >= TAG;
}

static size_t opened_bytes(size_t sealed_bytes) { return sealed_bytes - (sealed_bytes + SEALED_CHUNK - 1) / SEALED_CHUNK * TAG; }

// Leaves no key of the last message in a context.
static const uint8_t NO_KEY[KEY];
static void forget_sealing(thread_state *state) { EVP_EncryptInit_ex2(state->sealing, NULL, NO_KEY, NULL, NULL); }
static void forget_opening(thread_state *state) { EVP_DecryptInit_ex2(state->opening, NULL, NO_KEY, NULL, NULL); }

static void forget_keys(thread_state *state) {
  forget_sealing(state);
  forget_opening(state);
  EVP_EncryptInit_ex2(state->blocks, NULL, NO_KEY, NULL, NULL);
  OPENSSL_cleanse(state->block_key, KEY);
  state->has_block_key = false;
}

// forget(): for keys that are destroyed
static napi_value js_forget(napi_env env, napi_callback_info info) {
  ARGUMENTS(1);
  forget_keys(state);
  return accepted(env);
}

// sealChunks(first, plaintext, isEnd, target, offset): key and base stand in the scratch, and are wiped there
static napi_value js_seal_chunks(napi_env env, napi_callback_info info) {
  SCRATCH_ARGUMENTS(5);
  span plaintext, target;
  size_t first, offset, written = 0;
  bool is_end;
  if (!size_in(env, argument[0], UINT64_C(1) << 48, &first)) return wrong_argument(env, "there is no chunk of this number");
  if (!bytes_in(env, argument[1], &plaintext)) return wrong_argument(env, "a plaintext is a Uint8Array of its own memory");
  if (napi_get_value_bool(env, argument[2], &is_end) != napi_ok) return wrong_argument(env, "whether a body ends is true or false");
  if (!target_arguments(env, argument + 3, &target, &offset)) return NULL;
  if (!is_end && plaintext.bytes % CHUNK != 0) return wrong_argument(env, "the middle of a body is whole chunks");
  size_t chunks = sealed_chunks(plaintext.bytes, is_end);
  if (target.bytes - offset < plaintext.bytes + chunks * TAG) return wrong_argument(env, "the target has no room for the chunks");
  bool is_sealed = seal_chunks(state, scratch + SECRET_AT, first, plaintext, chunks, target.at + offset, &written);
  forget_sealing(state);
  OPENSSL_cleanse(scratch + SECRET_AT, CHUNK_KEYS);
  return is_sealed ? count_of(env, written) : openssl_failed(env, "chunks could not be sealed");
}

// openChunks(first, sealed, target, offset): how many bytes were written, or false
static napi_value js_open_chunks(napi_env env, napi_callback_info info) {
  SCRATCH_ARGUMENTS(4);
  span sealed, target;
  size_t first, offset, written = 0;
  if (!size_in(env, argument[0], UINT64_C(1) << 48, &first)) return wrong_argument(env, "there is no chunk of this number");
  if (!bytes_in(env, argument[1], &sealed)) return wrong_argument(env, "sealed chunks are a Uint8Array of its own memory");
  if (!target_arguments(env, argument + 2, &target, &offset)) return NULL;
  if (!are_chunks(sealed.bytes)) return wrong_argument(env, "no chunk is shorter than its tag");
  if (target.bytes - offset < opened_bytes(sealed.bytes)) return wrong_argument(env, "the target has no room for the plaintext");
  bool is_open = open_chunks(state, scratch + SECRET_AT, first, sealed, target.at + offset, &written);
  forget_opening(state);
  OPENSSL_cleanse(scratch + SECRET_AT, CHUNK_KEYS);
  return is_open ? count_of(env, written) : refused(env);
}

// Derives key 32 | base 12 | commitment 32 from the key and the info in the scratch. Wipes that key.
static bool body_keys(thread_state *state, uint8_t *scratch, size_t info_bytes, uint8_t keys[BODY_KEYS]) {
  bool is_done = expand(state, true, (span){scratch + SECRET_AT, KEY}, (span){scratch + INFO_AT, info_bytes}, keys, BODY_KEYS);
  OPENSSL_cleanse(scratch + SECRET_AT, KEY);
  return is_done;
}

// sealBody(infoBytes, plaintext, target, offset): writes `salt | commitment | chunks`. The salt stands in the scratch, as a message would.
static napi_value js_seal_body(napi_env env, napi_callback_info info) {
  SCRATCH_ARGUMENTS(4);
  uint8_t keys[BODY_KEYS];
  span plaintext, target;
  size_t info_bytes, offset, written = 0;
  if (!size_in(env, argument[0], INFO_ROOM, &info_bytes)) return wrong_argument(env, "so much info has no room");
  if (!bytes_in(env, argument[1], &plaintext)) return wrong_argument(env, "a plaintext is a Uint8Array of its own memory");
  if (!target_arguments(env, argument + 2, &target, &offset)) return NULL;
  size_t chunks = sealed_chunks(plaintext.bytes, true);
  if (target.bytes - offset < BODY_PREFIX + plaintext.bytes + chunks * TAG) return wrong_argument(env, "the target has no room for the body");
  uint8_t *body = target.at + offset;
  bool is_sealed = body_keys(state, scratch, info_bytes, keys);
  if (is_sealed) {
    memcpy(body, scratch + MESSAGE_AT, SALT);
    memcpy(body + SALT, keys + CHUNK_KEYS, COMMITMENT);
    is_sealed = seal_chunks(state, keys, 0, plaintext, chunks, body + BODY_PREFIX, &written);
  }
  OPENSSL_cleanse(keys, sizeof keys);
  forget_sealing(state);
  return is_sealed ? count_of(env, BODY_PREFIX + written) : openssl_failed(env, "a body could not be sealed");
}

// openBody(infoBytes, body, target): checks the commitment first. The target has just the length of the plaintext.
static napi_value js_open_body(napi_env env, napi_callback_info info) {
  SCRATCH_ARGUMENTS(3);
  uint8_t keys[BODY_KEYS];
  span body, target;
  size_t info_bytes, written = 0;
  if (!size_in(env, argument[0], INFO_ROOM, &info_bytes)) return wrong_argument(env, "so much info has no room");
  if (!bytes_in(env, argument[1], &body)) return wrong_argument(env, "a body is a Uint8Array of its own memory");
  if (!bytes_in(env, argument[2], &target)) return wrong_argument(env, "a target is a Uint8Array of its own memory");
  if (body.bytes < BODY_PREFIX + TAG || !are_chunks(body.bytes - BODY_PREFIX)) return wrong_argument(env, "no body has this length");
  span sealed = {body.at + BODY_PREFIX, body.bytes - BODY_PREFIX};
  if (opened_bytes(sealed.bytes) != target.bytes) return wrong_argument(env, "the target has another length than the plaintext");
  bool is_open = body_keys(state, scratch, info_bytes, keys) && CRYPTO_memcmp(keys + CHUNK_KEYS, body.at + SALT, COMMITMENT) == 0 &&
                 open_chunks(state, keys, 0, sealed, target.at, &written);
  OPENSSL_cleanse(keys, sizeof keys);
  forget_opening(state);
  return is_open && written == target.bytes ? accepted(env) : refused(env);
}

// ---- the module ---------------------------------------------------------------------------------------------------------------

static void drop_state(napi_env env, void *data, void *hint) {
  thread_state *state = data;
  (void)env;
  (void)hint;
  EVP_CIPHER_CTX_free(state->sealing); // wipes what it holds, and so do the others
  EVP_CIPHER_CTX_free(state->opening);
  EVP_CIPHER_CTX_free(state->blocks);
  EVP_MD_CTX_free(state->digest);
  EVP_MD_CTX_free(state->inner);
  EVP_MD_CTX_free(state->outer);
  EVP_CIPHER_free(state->gcm);
  EVP_CIPHER_free(state->ecb);
  EVP_MD_free(state->sha256);
  EVP_MD_free(state->sha512);
  OPENSSL_cleanse(state, sizeof *state);
  free(state);
}

// Fetches by name under the default properties of the process: in FIPS mode only a validated provider answers.
static bool fetch_algorithms(thread_state *state) {
  state->gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
  state->ecb = EVP_CIPHER_fetch(NULL, "AES-256-ECB", NULL);
  state->sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
  state->sha512 = EVP_MD_fetch(NULL, "SHA2-512", NULL);
  state->sealing = EVP_CIPHER_CTX_new();
  state->opening = EVP_CIPHER_CTX_new();
  state->blocks = EVP_CIPHER_CTX_new();
  state->digest = EVP_MD_CTX_new();
  state->inner = EVP_MD_CTX_new();
  state->outer = EVP_MD_CTX_new();
  return state->gcm != NULL && state->ecb != NULL && state->sha256 != NULL && state->sha512 != NULL && state->sealing != NULL &&
         state->opening != NULL && state->blocks != NULL && state->digest != NULL && state->inner != NULL && state->outer != NULL &&
         EVP_EncryptInit_ex2(state->sealing, state->gcm, NULL, NULL, NULL) == 1 &&
         EVP_DecryptInit_ex2(state->opening, state->gcm, NULL, NULL, NULL) == 1 &&
         EVP_EncryptInit_ex2(state->blocks, state->ecb, NULL, NULL, NULL) == 1 && EVP_CIPHER_CTX_set_padding(state->blocks, 0) == 1;
}

static bool set_text(napi_env env, napi_value exports, const char *name, const char *text) {
  napi_value value;
  return napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok &&
         napi_set_named_property(env, exports, name, value) == napi_ok;
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback call;
  } FUNCTIONS[] = {
      {"random", js_random},
      {"prepare", js_prepare},       {"seal", js_seal},
      {"open", js_open},             {"sealInto", js_seal_into},
      {"openInto", js_open_into},    {"sealText", js_seal_text},
      {"openText", js_open_text},    {"expand", js_expand},
      {"sealChunks", js_seal_chunks}, {"openChunks", js_open_chunks},
      {"sealBody", js_seal_body},    {"openBody", js_open_body},
      {"forget", js_forget},
  };
  thread_state *state = calloc(1, sizeof *state);
  if (state == NULL) return openssl_failed(env, "there is no memory");
  state->pool_used = POOL;
  if (!fetch_algorithms(state)) {
    drop_state(env, state, NULL);
    return openssl_failed(env, "this OpenSSL has not all of AES-256-GCM, AES-256-ECB, SHA-256 and SHA-512");
  }
  if (napi_set_instance_data(env, state, drop_state, NULL) != napi_ok) {
    drop_state(env, state, NULL);
    return NULL;
  }
  napi_value scratch, is_fips;
  void *memory;
  if (napi_create_arraybuffer(env, SCRATCH, &memory, &scratch) != napi_ok ||
      napi_create_reference(env, scratch, 1, &state->scratch) != napi_ok ||
      napi_set_named_property(env, exports, "scratch", scratch) != napi_ok ||
      napi_get_boolean(env, EVP_default_properties_is_fips_enabled(NULL) == 1, &is_fips) != napi_ok ||
      napi_set_named_property(env, exports, "isFips", is_fips) != napi_ok || !set_text(env, exports, "version", ENVELOCK_VERSION) ||
      !set_text(env, exports, "openssl", OpenSSL_version(OPENSSL_VERSION_STRING)))
    return NULL;
  for (size_t at = 0; at < sizeof FUNCTIONS / sizeof *FUNCTIONS; at++) {
    napi_value function;
    if (napi_create_function(env, FUNCTIONS[at].name, NAPI_AUTO_LENGTH, FUNCTIONS[at].call, state, &function) != napi_ok ||
        napi_set_named_property(env, exports, FUNCTIONS[at].name, function) != napi_ok)
      return NULL;
  }
  return exports;
}
