# What rotation and erasure may do in HashiCorp Vault: new versions of a key, and the
# end of old ones. It opens nothing. Vault cannot name a prefix in the middle of a
# path, so it reaches every key of the mount: give Medvault a mount of its own.
path "transit/keys/+/rotate" { capabilities = ["update"] }
path "transit/keys/+/trim" { capabilities = ["update"] }
# Only the minimums: with "exportable" or "deletion_allowed" keys could leave or die.
path "transit/keys/+/config" {
  capabilities = ["update"]
  allowed_parameters = { "min_decryption_version" = [], "min_encryption_version" = [] }
}
path "transit/rewrap/medvault-*" { capabilities = ["update"] }
path "transit/keys/+" { capabilities = ["read"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
