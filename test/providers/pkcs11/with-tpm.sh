#!/bin/sh
# Runs a program beside a TPM in software, in the network and processes of a namespace: its ports are fixed. FOLDER is scratch.
set -e
ip link set lo up 2>/dev/null || true
mkdir -p "$FOLDER/state" "$FOLDER/store"
export TPM2_PKCS11_STORE="$FOLDER/store" TPM2_PKCS11_TCTI=tabrmd:bus_type=session TPM2TOOLS_TCTI=tabrmd:bus_type=session
swtpm socket --tpm2 --tpmstate dir="$FOLDER/state" --ctrl type=tcp,port=23322,bindaddr=127.0.0.1 \
  --server type=tcp,port=23321,bindaddr=127.0.0.1 --flags not-need-init,startup-clear > "$FOLDER/swtpm.log" 2>&1 &
until grep -q ':5B19 ' /proc/net/tcp; do sleep 0.05; done
tpm2-abrmd --allow-root --session --tcti=swtpm:host=127.0.0.1,port=23321 > "$FOLDER/abrmd.log" 2>&1 &
until tpm2_ptool init --path "$FOLDER/store" > "$FOLDER/ptool.log" 2>&1; do sleep 0.2; done
tpm2_ptool addtoken --pid 1 --label soft --sopin 87654321 --userpin 1234test --path "$FOLDER/store" >> "$FOLDER/ptool.log" 2>&1
exec "$@" 2> "$FOLDER/module.log"
