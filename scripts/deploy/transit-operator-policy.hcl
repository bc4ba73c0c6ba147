# What `medvault keys rotate` and erasure need beyond transit-policy.hcl: new
# versions of a key, and the end of old ones. Give it to an operator's role only.

path "transit/keys/medvault-+/rotate" {
  capabilities = ["update"]
}
path "transit/keys/medvault-+/config" {
  capabilities = ["update"]
}
path "transit/keys/medvault-+/trim" {
  capabilities = ["update"]
}
