#!/usr/bin/env bash
# Spot GPU machines that work for Segue: an instance template and a managed group. Needs gcloud, signed in.
#   ZONE=europe-west4-b IMAGE_FAMILY=... SHARE=10.0.0.2:/segue RELEASE=/srv/segue/release/2026-11-21 \
#   SERVICE_ACCOUNT=segue@PROJECT.iam.gserviceaccount.com NETWORK=media SUBNET=gpu deploy/spot/gcp/template.sh 4
# IMAGE_FAMILY: one with the NVIDIA driver and Python 3.11 or newer, of those that
#   gcloud compute images list --project deeplearning-platform-release --filter 'family~cu12' shows.
# The subnet leaves through Cloud NAT (network.sh), since the machines have no public address. The secret manager holds
# segue-broker-url (rediss://:PASSWORD@HOST:6379/0).
set -euo pipefail

count=${1:-}
if ! [[ $count =~ ^[0-9]+$ ]]; then
  echo "usage: ZONE= IMAGE_FAMILY= SHARE= RELEASE= SERVICE_ACCOUNT= NETWORK= SUBNET= $0 NUMBER_OF_MACHINES" >&2
  exit 2
fi
: "${ZONE:?zone}" "${IMAGE_FAMILY:?image family}" "${SHARE:?NFS share, host:/path}"
: "${RELEASE:?folder made by release.sh, as nodes see it}" "${SERVICE_ACCOUNT:?service account}"
: "${NETWORK:?network}" "${SUBNET:?subnet with a way out, see network.sh}"
name=${NAME:-segue-gpu}
machine=${MACHINE:-n1-standard-4}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# What the machines may read is granted before the first of them starts.
gcloud secrets add-iam-policy-binding segue-broker-url \
  --member "serviceAccount:$SERVICE_ACCOUNT" --role roles/secretmanager.secretAccessor >/dev/null

# instance-termination-action DELETE: the group makes a new one; a stopped one would keep its disk.
gcloud compute instance-templates create "$name" \
  --machine-type "$machine" --accelerator "type=${GPU:-nvidia-tesla-t4},count=1" \
  --provisioning-model SPOT --instance-termination-action DELETE --maintenance-policy TERMINATE \
  --image-project "${IMAGE_PROJECT:-deeplearning-platform-release}" --image-family "$IMAGE_FAMILY" \
  --boot-disk-size 75GB --boot-disk-type pd-balanced \
  --service-account "$SERVICE_ACCOUNT" --scopes cloud-platform --no-address \
  --network "$NETWORK" --subnet "$SUBNET" --region "${ZONE%-*}" \
  --metadata "segue-share=$SHARE,segue-release=$RELEASE,segue-nfs-version=${NFS_VERSION:-3},install-nvidia-driver=True" \
  --metadata-from-file "startup-script=$here/startup.sh"
gcloud compute instance-groups managed create "$name" --zone "$ZONE" --template "$name" --size "$count"
echo "template.sh: $count x $machine in $name; change the number with gcloud compute instance-groups managed resize"
