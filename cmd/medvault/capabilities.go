package main

import (
	"context"
	"log/slog"

	"medvault/storage"
)

// sayCapabilities logs what each region's buckets were seen to do when they were opened,
// a line a bucket, and warns of what a deployment would rather not have.
func sayCapabilities(ctx context.Context, log *slog.Logger, regions []storage.Region) {
	for _, r := range regions {
		say := func(bucket string, s storage.Store) (can storage.Capabilities) {
			can, err := storage.Probe(ctx, s)
			if err != nil {
				log.Warn("region not probed", "region", r.Name, "bucket", bucket, "problem", err.Error())
				return can
			}
			log.Info("region", "region", r.Name, "bucket", bucket, "can", can.String())
			return can
		}
		say("data", r.Data)
		if r.OneBucket {
			continue
		}
		if say("keys", r.Keys).ObjectLock {
			log.Warn("wraps lie in a bucket with object lock: one that is locked cannot be destroyed", "region", r.Name)
		}
	}
}
