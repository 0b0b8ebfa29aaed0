/*
 * A PKCS#11 module in front of another, for tests: what a token on a network can do and a software token never does.
 *
 * Before each call it reads FOLDER/fault, one line `generation function return-value delay-ms times`, of which the function may be `*`.
 * While `times` lasts (-1: for ever) it sleeps and, if the value is not 0, answers it in place of the module. A new generation starts
 * the count anew. Values that say that a session, a login or the token is gone make it so: else a caller that
 * carries on as if nothing had happened would be right.
 *
 * FOLDER/token says in one line what kind of token it is, `flags sessions refusals`: flags that C_GetTokenInfo adds; how many sessions
 * there may be (0: as many as the module allows); and what it refuses in templates of new keys, 1 for objects of the session, 2 for
 * rights that are false, 4 for keys made in sessions that only read.
 *
 * It appends the name of each call to FOLDER/calls and keeps the number of open sessions in FOLDER/sessions.
 */
#include "pkcs11.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static CK_FUNCTION_LIST_PTR module;
static CK_FUNCTION_LIST faulty;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t gate = PTHREAD_RWLOCK_INITIALIZER; /* SoftHSM crashes if sessions are taken away under a call in them */
static CK_SLOT_ID slot; /* that of the last session: tests use one */
static long sessions;
static int calls_file = -1, sessions_file = -1;

static void count_sessions(long change, int is_all)
{
	char text[24];
	pthread_mutex_lock(&lock);
	sessions = is_all ? 0 : sessions + change;
	pwrite(sessions_file, text, snprintf(text, sizeof text, "%8ld\n", sessions), 0);
	pthread_mutex_unlock(&lock);
}

/* Under the gate, or sessions that were taken away in between would be counted after that. */
static CK_RV counted(CK_RV value, long change, int is_all)
{
	if (value == CKR_OK)
		count_sessions(change, is_all);
	return value;
}

static unsigned long token_setting(int place)
{
	unsigned long settings[3] = {0, 0, 0};
	char line[96] = "";
	int file = open(FOLDER "/token", O_RDONLY);
	if (file >= 0) {
		if (read(file, line, sizeof line - 1) > 0)
			sscanf(line, "%lu %lu %lu", &settings[0], &settings[1], &settings[2]);
		close(file);
	}
	return settings[place];
}

static int is_false(const CK_ATTRIBUTE *attribute)
{
	return attribute->ulValueLen == 1 && *(CK_BBOOL *)attribute->pValue == CK_FALSE;
}

static CK_RV template_refusal(CK_SESSION_HANDLE session, const CK_ATTRIBUTE *template, CK_ULONG count)
{
	unsigned long refusals = token_setting(2);
	CK_SESSION_INFO info;
	CK_ULONG at;
	if ((refusals & 4) && module->C_GetSessionInfo(session, &info) == CKR_OK && !(info.flags & CKF_RW_SESSION))
		return CKR_SESSION_READ_ONLY;
	for (at = 0; at < count; at++) {
		CK_ATTRIBUTE_TYPE type = template[at].type;
		if ((refusals & 1) && type == CKA_TOKEN && is_false(&template[at]))
			return CKR_ATTRIBUTE_VALUE_INVALID;
		if ((refusals & 2) && type >= CKA_ENCRYPT && type <= CKA_DERIVE && is_false(&template[at]))
			return CKR_ATTRIBUTE_TYPE_INVALID;
	}
	return CKR_OK;
}

/* Makes true what the return value says. */
static void lose(CK_RV value, CK_SESSION_HANDLE session)
{
	pthread_rwlock_wrlock(&gate);
	if (value == CKR_SESSION_HANDLE_INVALID && session != 0 && module->C_CloseSession(session) == CKR_OK)
		count_sessions(-1, 0);
	if ((value == CKR_DEVICE_REMOVED || value == CKR_TOKEN_NOT_PRESENT) && module->C_CloseAllSessions(slot) == CKR_OK)
		count_sessions(0, 1);
	if (value == CKR_USER_NOT_LOGGED_IN && session != 0)
		module->C_Logout(session);
	pthread_rwlock_unlock(&gate);
}

/* A call of the module, in the middle of which nothing is lost. */
#define FORWARD(value, call)                  \
	do {                                  \
		pthread_rwlock_rdlock(&gate); \
		(value) = (call);             \
		pthread_rwlock_unlock(&gate); \
	} while (0)

static CK_RV fault_for(const char *function)
{
	static long generation, used;
	char name[64] = "", line[128] = "";
	unsigned long value = 0;
	long of = 0, delay_ms = 0, times = 0;
	int is_due = 0, file;

	pthread_mutex_lock(&lock);
	dprintf(calls_file, "%s\n", function);
	if ((file = open(FOLDER "/fault", O_RDONLY)) >= 0) {
		if (read(file, line, sizeof line - 1) > 0 && sscanf(line, "%ld %63s %lu %ld %ld", &of, name, &value, &delay_ms, &times) == 5) {
			if (of != generation) {
				generation = of;
				used = 0;
			}
			is_due = (strcmp(name, function) == 0 || strcmp(name, "*") == 0) && (times < 0 || used < times);
			used += is_due;
		}
		close(file);
	}
	pthread_mutex_unlock(&lock);
	if (!is_due)
		return CKR_OK;
	usleep((useconds_t)delay_ms * 1000);
	return value;
}

/* A function of which the first argument is a session, or 0 in place of it, answers the fault, if there is one, in place of the module. */
#define INTERCEPT(name, session, arguments, ...)          \
	static CK_RV faulty_##name(__VA_ARGS__)           \
	{                                                 \
		CK_RV value = fault_for(#name);           \
		if (value != CKR_OK)                      \
			lose(value, session);             \
		else                                      \
			FORWARD(value, module->name arguments); \
		return value;                             \
	}

INTERCEPT(C_Initialize, 0, (a), CK_VOID_PTR a)
INTERCEPT(C_GetSlotList, 0, (a, b, c), CK_BBOOL a, CK_SLOT_ID_PTR b, CK_ULONG_PTR c)
INTERCEPT(C_GetMechanismList, 0, (a, b, c), CK_SLOT_ID a, CK_MECHANISM_TYPE_PTR b, CK_ULONG_PTR c)
INTERCEPT(C_GetMechanismInfo, 0, (a, b, c), CK_SLOT_ID a, CK_MECHANISM_TYPE b, CK_MECHANISM_INFO_PTR c)
INTERCEPT(C_Login, s, (s, a, b, c), CK_SESSION_HANDLE s, CK_USER_TYPE a, CK_CHAR_PTR b, CK_ULONG c)
INTERCEPT(C_Logout, s, (s), CK_SESSION_HANDLE s)
INTERCEPT(C_GetSessionInfo, s, (s, a), CK_SESSION_HANDLE s, CK_SESSION_INFO_PTR a)
INTERCEPT(C_FindObjectsInit, s, (s, a, b), CK_SESSION_HANDLE s, CK_ATTRIBUTE_PTR a, CK_ULONG b)
INTERCEPT(C_FindObjects, s, (s, a, b, c), CK_SESSION_HANDLE s, CK_OBJECT_HANDLE_PTR a, CK_ULONG b, CK_ULONG_PTR c)
INTERCEPT(C_FindObjectsFinal, s, (s), CK_SESSION_HANDLE s)
INTERCEPT(C_GetAttributeValue, s, (s, a, b, c), CK_SESSION_HANDLE s, CK_OBJECT_HANDLE a, CK_ATTRIBUTE_PTR b, CK_ULONG c)
INTERCEPT(C_CreateObject, s, (s, a, b, c), CK_SESSION_HANDLE s, CK_ATTRIBUTE_PTR a, CK_ULONG b, CK_OBJECT_HANDLE_PTR c)
INTERCEPT(C_DestroyObject, s, (s, a), CK_SESSION_HANDLE s, CK_OBJECT_HANDLE a)
INTERCEPT(C_EncryptInit, s, (s, a, b), CK_SESSION_HANDLE s, CK_MECHANISM_PTR a, CK_OBJECT_HANDLE b)
INTERCEPT(C_Encrypt, s, (s, a, b, c, d), CK_SESSION_HANDLE s, CK_BYTE_PTR a, CK_ULONG b, CK_BYTE_PTR c, CK_ULONG_PTR d)
INTERCEPT(C_DecryptInit, s, (s, a, b), CK_SESSION_HANDLE s, CK_MECHANISM_PTR a, CK_OBJECT_HANDLE b)
INTERCEPT(C_Decrypt, s, (s, a, b, c, d), CK_SESSION_HANDLE s, CK_BYTE_PTR a, CK_ULONG b, CK_BYTE_PTR c, CK_ULONG_PTR d)
INTERCEPT(C_WrapKey, s, (s, a, b, c, d, e), CK_SESSION_HANDLE s, CK_MECHANISM_PTR a, CK_OBJECT_HANDLE b, CK_OBJECT_HANDLE c,
	CK_BYTE_PTR d, CK_ULONG_PTR e)
INTERCEPT(C_UnwrapKey, s, (s, a, b, c, d, e, f, g), CK_SESSION_HANDLE s, CK_MECHANISM_PTR a, CK_OBJECT_HANDLE b, CK_BYTE_PTR c, CK_ULONG d,
	CK_ATTRIBUTE_PTR e, CK_ULONG f, CK_OBJECT_HANDLE_PTR g)
INTERCEPT(C_GenerateRandom, s, (s, a, b), CK_SESSION_HANDLE s, CK_BYTE_PTR a, CK_ULONG b)

static CK_RV faulty_C_GetTokenInfo(CK_SLOT_ID id, CK_TOKEN_INFO_PTR info)
{
	CK_RV value = fault_for("C_GetTokenInfo");
	if (value != CKR_OK) {
		lose(value, 0);
		return value;
	}
	FORWARD(value, module->C_GetTokenInfo(id, info));
	if (value == CKR_OK)
		info->flags |= token_setting(0);
	return value;
}

static CK_RV faulty_C_GenerateKey(CK_SESSION_HANDLE s, CK_MECHANISM_PTR a, CK_ATTRIBUTE_PTR b, CK_ULONG c, CK_OBJECT_HANDLE_PTR d)
{
	CK_RV value = fault_for("C_GenerateKey");
	if (value == CKR_OK)
		value = template_refusal(s, b, c);
	if (value == CKR_OK)
		FORWARD(value, module->C_GenerateKey(s, a, b, c, d));
	return value;
}

static CK_RV faulty_C_GenerateKeyPair(CK_SESSION_HANDLE s, CK_MECHANISM_PTR a, CK_ATTRIBUTE_PTR b, CK_ULONG c, CK_ATTRIBUTE_PTR d, CK_ULONG e,
	CK_OBJECT_HANDLE_PTR f, CK_OBJECT_HANDLE_PTR g)
{
	CK_RV value = fault_for("C_GenerateKeyPair");
	if (value == CKR_OK)
		value = template_refusal(s, b, c);
	if (value == CKR_OK)
		value = template_refusal(s, d, e);
	if (value == CKR_OK)
		FORWARD(value, module->C_GenerateKeyPair(s, a, b, c, d, e, f, g));
	return value;
}

static CK_RV faulty_C_OpenSession(CK_SLOT_ID id, CK_FLAGS flags, CK_VOID_PTR a, CK_NOTIFY b, CK_SESSION_HANDLE_PTR session)
{
	CK_RV value = fault_for("C_OpenSession");
	if (value != CKR_OK) {
		lose(value, 0);
		return value;
	}
	if (token_setting(1) != 0 && sessions >= (long)token_setting(1))
		return CKR_SESSION_COUNT;
	slot = id;
	FORWARD(value, counted(module->C_OpenSession(id, flags, a, b, session), 1, 0));
	return value;
}

/* Closes the session whatever it answers: a caller could do no more about a session that does not close. */
static CK_RV faulty_C_CloseSession(CK_SESSION_HANDLE session)
{
	CK_RV fault = fault_for("C_CloseSession");
	CK_RV value;
	FORWARD(value, counted(module->C_CloseSession(session), -1, 0));
	return fault != CKR_OK ? fault : value;
}

static CK_RV faulty_C_CloseAllSessions(CK_SLOT_ID id)
{
	CK_RV value = fault_for("C_CloseAllSessions");
	if (value == CKR_OK)
		FORWARD(value, counted(module->C_CloseAllSessions(id), 0, 1));
	return value;
}

static CK_RV faulty_C_Finalize(CK_VOID_PTR a)
{
	CK_RV value = fault_for("C_Finalize");
	if (value == CKR_OK)
		FORWARD(value, counted(module->C_Finalize(a), 0, 1));
	return value;
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list)
{
	CK_RV (*function_list)(CK_FUNCTION_LIST_PTR_PTR);
	void *handle;

	*list = &faulty;
	if (module != NULL)
		return CKR_OK;
	handle = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL || (function_list = dlsym(handle, ENTRY)) == NULL || function_list(&module) != CKR_OK)
		return CKR_GENERAL_ERROR;
	calls_file = open(FOLDER "/calls", O_WRONLY | O_CREAT | O_APPEND, 0600);
	sessions_file = open(FOLDER "/sessions", O_WRONLY | O_CREAT, 0600);
	faulty = *module;
#define REPLACE(name) faulty.name = faulty_##name;
	REPLACE(C_Initialize) REPLACE(C_Finalize) REPLACE(C_GetSlotList) REPLACE(C_GetTokenInfo)
	REPLACE(C_GetMechanismList) REPLACE(C_GetMechanismInfo)
	REPLACE(C_OpenSession) REPLACE(C_CloseSession) REPLACE(C_CloseAllSessions) REPLACE(C_GetSessionInfo)
	REPLACE(C_Login) REPLACE(C_Logout)
	REPLACE(C_FindObjectsInit) REPLACE(C_FindObjects) REPLACE(C_FindObjectsFinal) REPLACE(C_GetAttributeValue)
	REPLACE(C_CreateObject) REPLACE(C_DestroyObject)
	REPLACE(C_EncryptInit) REPLACE(C_Encrypt) REPLACE(C_DecryptInit) REPLACE(C_Decrypt)
	REPLACE(C_WrapKey) REPLACE(C_UnwrapKey) REPLACE(C_GenerateRandom) REPLACE(C_GenerateKey) REPLACE(C_GenerateKeyPair)
	return CKR_OK;
}
