#!/usr/bin/env bash
# A scale set of spot GPU machines that work for Segue. Needs the az command line, signed in.
#   GROUP=media SUBNET=/subscriptions/.../subnets/gpu SHARE=acct.file.core.windows.net:/acct/segue \
#   RELEASE=/srv/segue/release/2026-11-21 VAULT=media-kv deploy/spot/azure/vmss.sh 4
# The subnet leaves through a NAT gateway (network.sh), since machines without a public address have no other way out.
# The vault grants by role (--enable-rbac-authorization) and holds the secret segue-broker-url
# (rediss://:PASSWORD@HOST:6380/0); SHARE is an NFS share.
set -euo pipefail

count=${1:-}
if ! [[ $count =~ ^[0-9]+$ ]]; then
  echo "usage: GROUP= SUBNET= SHARE= RELEASE= VAULT= $0 NUMBER_OF_MACHINES" >&2
  exit 2
fi
: "${GROUP:?resource group}" "${SUBNET:?id of the subnet}" "${SHARE:?NFS share, host:/path}"
: "${RELEASE:?folder made by release.sh, as nodes see it}" "${VAULT:?name of the key vault}"
name=${NAME:-segue-gpu}
size=${SIZE:-Standard_NC4as_T4_v3}
# Has the NVIDIA driver; Ubuntu 24.04 brings Python 3.12.
image=${IMAGE:-microsoft-dsvm:ubuntu-hpc:2404:latest}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
init=$(mktemp)
trap 'rm -f "$init"' EXIT

sed -e "s|<SHARE>|$SHARE|" -e "s|<RELEASE>|$RELEASE|" -e "s|<VAULT>|$VAULT|" \
  -e "s|<NODE_PRICE>|${NODE_PRICE:-}|" "$here/cloud-init.yaml" >"$init"

# The machines' identity and what it may read exist before the first of them starts. A role that was assigned a moment ago
# may be unknown for some minutes: the start unit tries until it is not.
identity=$(az identity create --resource-group "$GROUP" --name "$name" --query id --output tsv)
principal=$(az identity show --ids "$identity" --query principalId --output tsv)
vault_id=$(az keyvault show --name "$VAULT" --query id --output tsv)
az role assignment create --assignee-object-id "$principal" --assignee-principal-type ServicePrincipal \
  --role "Key Vault Secrets User" --scope "$vault_id/secrets/segue-broker-url" --output none

# eviction-policy Delete: a deallocated machine would keep its disk and its place in the quota.
# max-price -1: taken away for want of capacity only, never for its price.
# terminate-notification-time 5: when the scale set itself removes a machine (scaling in, an update) the same kind of
#   scheduled event is sent, minutes before; evictions send theirs without it. The worker's acknowledgement ends the wait.
# orchestration-mode Uniform: evicted machines are replaced by try-restore as capacity comes back.
az vmss create \
  --resource-group "$GROUP" --name "$name" --instance-count "$count" \
  --orchestration-mode Uniform --image "$image" --vm-sku "$size" \
  --priority Spot --eviction-policy Delete --max-price -1 \
  --enable-spot-restore true --spot-restore-timeout PT1H \
  --terminate-notification-time 5 \
  --upgrade-policy-mode Manual --single-placement-group false --disable-overprovision \
  --subnet "$SUBNET" --load-balancer "" --public-ip-address "" \
  --assign-identity "$identity" \
  --ephemeral-os-disk true --ephemeral-os-disk-placement ResourceDisk \
  --admin-username azureuser --generate-ssh-keys \
  --custom-data "$init"

echo "vmss.sh: $count x $size in $name; change the number with az vmss scale"
