#!/bin/sh
# Makes the secrets of docker-compose.yml, a file each, in deploy/secrets/ (or in the folder given). What is there stays:
# to renew one, remove its file and run this again; docs/runbooks/containers.md says what else that needs.
set -eu
umask 077
folder=${1:-$(dirname -- "$0")/secrets}
mkdir -p "$folder/issuer"
cd "$folder"
chmod 700 .

# The folder is closed to others. What is in it is open, since Docker shows it to accounts that only a container has.
chmod 755 issuer
keep() {
    [ -s "$1" ] || {
        cat >"$1.new"
        chmod 444 "$1.new"
        mv "$1.new" "$1"
    }
}

random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# An old openssl cannot make keys of this kind; the image that all services start from has a new one.
openssl_() {
    if openssl genpkey -algorithm ed25519 >/dev/null 2>&1; then
        openssl "$@"
    else
        docker run --rm -i --network none python:3.13-slim openssl "$@"
    fi
}

password() {
    [ -s "$1" ] || random 24 | keep "$1"
    cat "$1"
}

echo "postgresql://postgres:$(password postgres_password)@postgres:5432/postgres" | keep postgres_admin_url

for service in catalog packages booking billing directdebit notify; do
    [ -s "database_url_$service" ] ||
        echo "postgresql://punchcard_$service:$(random 24)@postgres:5432/punchcard_$service" |
        keep "database_url_$service"
done

if [ ! -s bus_url ] || [ ! -s rabbitmq_account.conf ]; then
    rm -f bus_url rabbitmq_account.conf
    broker=$(random 24)
    printf 'default_user = punchcard\ndefault_pass = %s\n' "$broker" | keep rabbitmq_account.conf
    echo "amqp://punchcard:$broker@rabbitmq:5672/" | keep bus_url
fi

head -c 32 /dev/urandom | base64 | sed 's/.*/["&"]/' | keep encryption_keys

# The development issuer signs the tokens of the demo. A real installation names its own issuer instead.
openssl_ genpkey -algorithm ed25519 | keep issuer/issuer.pem
openssl_ pkey -pubout -outform DER <issuer/issuer.pem | tail -c 32 | base64 | tr '+/' '-_' | tr -d '=\n' |
    sed 's/.*/{"keys": [{"crv": "Ed25519", "x": "&", "kty": "OKP", "kid": "development", "use": "sig", "alg": "EdDSA"}]}/' |
    keep issuer/jwks.json
[ -s issuer/jwks.json ] || {
    echo 'The issuer has no key: this needs an OpenSSL that makes Ed25519 keys, or Docker' >&2
    exit 1
}

printf 'The secrets are in %s\n' "$(pwd)"
