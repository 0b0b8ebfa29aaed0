#!/bin/sh
# Runs a program beside a daemon of openCryptoki that no other program sees. Its paths are fixed, so this wants namespaces of its own for
# mounts, System V memory and processes: `unshare --mount --ipc --pid --fork --kill-child --mount-proc`. FOLDER is scratch.
set -e
for path in /etc/opencryptoki /var/lib/opencryptoki /dev/shm /run; do mount -t tmpfs none "$path"; done
printf 'version opencryptoki-3.8\nslot 3\n{\nstdll = libpkcs11_sw.so\n}\n' > /etc/opencryptoki/opencryptoki.conf
mkdir -p /run/lock/opencryptoki/swtok /var/lib/opencryptoki/swtok/TOK_OBJ
chgrp -R pkcs11 /run/lock/opencryptoki /var/lib/opencryptoki
chmod -R 770 /run/lock/opencryptoki /var/lib/opencryptoki
/usr/sbin/pkcsslotd
until test -S /run/pkcsslotd.socket; do sleep 0.05; done
exec "$@"
