#!/usr/bin/env bash
# A way out for the group's machines, once a network and region: Cloud NAT. They have no public address (--no-address), and
# need it for the distribution's packages; Google's own services are reached directly from a subnet with private access.
# Needs gcloud, signed in. NAT costs by the hour and machine, and by the gigabyte.
#   REGION=europe-west4 NETWORK=media SUBNET=gpu deploy/spot/gcp/network.sh
set -euo pipefail

: "${REGION:?region}" "${NETWORK:?network}" "${SUBNET:?its subnet for GPU machines}"
name=${NAME:-segue-nat}

gcloud compute networks subnets update "$SUBNET" --region "$REGION" --enable-private-ip-google-access
gcloud compute routers create "$name" --network "$NETWORK" --region "$REGION"
gcloud compute routers nats create "$name" --router "$name" --region "$REGION" --auto-allocate-nat-external-ips \
  --nat-custom-subnet-ip-ranges "$SUBNET"
