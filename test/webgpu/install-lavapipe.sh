#!/usr/bin/env bash
# Installs Mesa's software Vulkan, lavapipe, so that WebGPU runs without a GPU. As root, on Debian or a child of it.
# Bookworm's own Mesa 22.3 is too old for ONNX Runtime's WebGPU; its backports are taken from the mirror already in use.
set -euo pipefail

. /etc/os-release
export DEBIAN_FRONTEND=noninteractive
packages=(mesa-vulkan-drivers libvulkan1)
apt-get update -qq

if [ "${VERSION_CODENAME:-}" != bookworm ]; then
  apt-get install -y -qq --no-install-recommends "${packages[@]}"
  exit
fi

# the mirror that bookworm itself comes from
mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' | awk '$2 == "bookworm" || $2 == "stable" || $2 == "oldstable" { print $1; exit }')
list=/etc/apt/sources.list.d/weft-backports.list
printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s bookworm-backports main\n' "$mirror" >"$list"
apt-get update -qq
apt-get install -y -qq --no-install-recommends -t bookworm-backports "${packages[@]}"
