#!/usr/bin/env bash
# A way out for the scale set's machines, once a subnet: a NAT gateway. They have no public address, and Azure gives new
# subnets no way out of its own. They need it for Ubuntu's packages and the key vault; the share, the broker and vLLM are
# reached inside the network. Needs the az command line, signed in. A gateway costs by the hour and by the gigabyte.
#   GROUP=media VNET=media SUBNET_NAME=gpu deploy/spot/azure/network.sh
set -euo pipefail

: "${GROUP:?resource group}" "${VNET:?virtual network}" "${SUBNET_NAME:?its subnet for GPU machines}"
name=${NAME:-segue-nat}

az network public-ip create --resource-group "$GROUP" --name "$name" --sku Standard --allocation-method Static --output none
az network nat gateway create --resource-group "$GROUP" --name "$name" --public-ip-addresses "$name" --idle-timeout 10 \
  --output none
az network vnet subnet update --resource-group "$GROUP" --vnet-name "$VNET" --name "$SUBNET_NAME" --nat-gateway "$name" \
  --query id --output tsv
