#!/usr/bin/env bash
# deps.sh WHAT...: makes sure that system packages which building and testing need are there, and installs missing ones
# through apt. WHAT is postgres (server programs, 15 or newer), cc (a C compiler, for the race detector), java (17 or newer) or maven (both for Apache Kafka).
# When everything is there it says nothing and changes nothing.
set -euo pipefail

say() { echo "deps: $*" >&2; }
die() { say "$*"; exit 1; }

# The same folders as internal/postgres/embedded/binaries.go looks at.
has_postgres() {
  local dir major
  for dir in ${HERALD_PG_BIN:-/usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin \
    /usr/local/opt/postgresql*/bin /usr/local/pgsql/bin "$(dirname "$(readlink -f "$(command -v postgres)")")"}; do
    [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] || continue
    major=$("$dir/postgres" -V | sed -E 's/.*\(PostgreSQL\) ([0-9]+).*/\1/')
    [ "$major" -ge 15 ] && return
  done
  return 1
}

has_cc() { echo '#include <stdlib.h>' | "${CC:-gcc}" -x c -fsyntax-only - 2>/dev/null; }

has_java() { java -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p' | awk '{exit !($1 >= 17)}'; }

has_maven() { command -v mvn >/dev/null; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo env DEBIAN_FRONTEND=noninteractive "$@"; fi
}

# Runs at most once, and only when a package is missing.
updated=
update() {
  [ -n "$updated" ] && return
  say "apt-get update"
  as_root apt-get update -qq
  updated=1
}

install() { # install WHY PACKAGE...
  local why=$1; shift
  say "installing $* through apt ($why)"
  as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# The newest of 15 and later that the distribution offers; its default first.
postgres_package() {
  local name major
  name=$(apt-cache depends postgresql 2>/dev/null | sed -nE 's/.*Depends: (postgresql-[0-9]+)$/\1/p' | head -n 1)
  for name in $name postgresql-18 postgresql-17 postgresql-16 postgresql-15; do
    major=${name#postgresql-}
    if [ "$major" -ge 15 ] && apt-cache show "$name" >/dev/null 2>&1; then echo "$name"; return; fi
  done
  die "this distribution offers no PostgreSQL 15 or newer: install one (see apt.postgresql.org) and try again"
}

# Debian's package makes a database cluster and starts it unless its configuration says no. Herald needs the programs
# only, so the configuration says no for as long as the installation takes.
install_postgres() {
  local package dir=/etc/postgresql-common/createcluster.d
  package=$(postgres_package)
  as_root mkdir -p "$dir"
  trap 'as_root rm -f /etc/postgresql-common/createcluster.d/herald.conf' EXIT
  echo 'create_main_cluster = false' | as_root tee "$dir/herald.conf" >/dev/null
  install "server programs for the embedded database; no system server is started" "$package"
}

main() {
  local what missing=() names=()
  for what in "$@"; do
    case $what in
      postgres) has_postgres || { missing+=("$what"); names+=(postgresql); } ;;
      cc) has_cc || { missing+=("$what"); names+=(gcc libc6-dev); } ;;
      java) has_java || { missing+=("$what"); names+=(default-jre-headless); } ;;
      maven) has_maven || { missing+=("$what"); names+=(maven); } ;;
      *) die "unknown: $what" ;;
    esac
  done
  [ ${#missing[@]} = 0 ] && return

  command -v apt-get >/dev/null ||
    die "missing: ${missing[*]}. Only apt is known here; install the packages that your system calls ${names[*]}"
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    die "missing: ${missing[*]}. Neither root nor sudo; ask an administrator for: apt-get install ${names[*]}"
  export DEBIAN_FRONTEND=noninteractive
  update
  for what in "${missing[@]}"; do
    case $what in
      postgres) install_postgres ;;
      cc) install "C compiler for the race detector" gcc libc6-dev ;;
      java) install "to run Apache Kafka" default-jre-headless ;;
      maven) install "to fetch Apache Kafka" maven ;;
    esac
    "has_$what" || die "$what is still missing after the installation"
  done
}

main "$@"
