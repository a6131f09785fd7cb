#!/usr/bin/env bash
# Fetches Apache Kafka's jars with Maven, compiles the programs here, and prints the class path to start them with on stdout.
# What is there already is kept, so a second call takes a moment and needs no network.
#
#   setup.sh [DIR]     DIR: where it all goes; default $KAFKATS_ORACLE_DIR, else ~/.cache/kafkats-oracle
#   KAFKA_VERSION      another release than 4.1.0
#
# Needs a JDK 17 or newer, and Maven where the jars are not there yet.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=${1:-${KAFKATS_ORACLE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/kafkats-oracle}}
version=${KAFKA_VERSION:-4.1.0}

need() {
  command -v "$1" >/dev/null 2>&1 || { echo "setup.sh: $1 is needed ($2)" >&2; exit 1; }
}

need javac 'a JDK 17 or newer'
need java 'a JDK 17 or newer'
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)

# Folders are named after what they were made of, so an older or newer checkout never runs the wrong one.
libs=$dir/libs-$version-$(cksum <"$here/pom.xml" | cut -d' ' -f1)
if [ ! -e "$libs/.complete" ]; then
  need mvn 'Apache Maven 3.6 or newer, to fetch the jars'
  for attempt in 1 2 3; do
    echo "setup.sh: fetching Kafka $version (about 54 MB, attempt $attempt of 3)" >&2
    if mvn -q -B -ntp -f "$here/pom.xml" -Dkafka.version="$version" \
      dependency:copy-dependencies -DoutputDirectory="$libs" >&2 </dev/null; then
      touch "$libs/.complete"
      break
    fi
    sleep $((attempt * 5))
  done
  [ -e "$libs/.complete" ] || { echo 'setup.sh: Maven could not fetch the jars' >&2; exit 1; }
fi

sum=$(cat "$here"/*.java | cksum | tr -s ' ' '-')
classes=$dir/classes-$version-$sum
if [ ! -e "$classes/KafkaOracle.class" ]; then
  fresh=$(mktemp -d "$dir/classes.XXXXXX")
  trap 'rm -rf "$fresh"' EXIT
  javac -nowarn -proc:none -cp "$libs/*" -d "$fresh" "$here"/*.java 2>&1 \
    | { grep -v '^Note:' || true; } >&2
  # Where two calls compile at once, either result will do.
  [ -d "$classes" ] || mv "$fresh" "$classes"
fi

echo "$libs/*:$classes"
