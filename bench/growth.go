package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/internal/postgres"
)

// Growth sends the same load with ever more messages in the store already.
func Growth(ctx context.Context, opts Options) (*Result, error) {
	r, err := newRig(ctx, opts)
	if err != nil {
		return nil, err
	}
	defer r.close()
	res := r.result("growth")
	g, err := r.startGateway("gateway")
	if err != nil {
		return nil, err
	}
	if err := r.ready(ctx, g); err != nil {
		return nil, err
	}
	stored, flattest, dearest := 0, 0.0, 0.0
	for _, want := range []int{0, 100_000, 1_000_000, 10_000_000} {
		opts.say("storing up to %d messages", want)
		if want > 0 {
			if err := r.store(ctx, stored, want-stored); err != nil {
				return nil, err
			}
		}
		stored = want
		each, err := r.load(ctx, g, res, want)
		if err != nil {
			return nil, err
		}
		if want == 0 {
			continue // the first load warms everything up
		}
		if flattest == 0 {
			flattest = each
		}
		dearest = max(dearest, each)
	}
	res.add("growth", "dearest load to the one at 100 k", dearest/flattest, "")
	return res, nil
}

// load sends the jobs of one step and returns the CPU time of a message.
func (r *rig) load(ctx context.Context, g *gateway, res *Result, stored int) (float64, error) {
	label := fmt.Sprintf("%s-%d", launch, stored)
	// What the stored rows have left to do comes to rest first.
	for _, s := range []string{"vacuum (analyze) claim, message", "analyze provider_ref", "checkpoint"} {
		if _, err := r.sql.General.Exec(ctx, s); err != nil {
			return 0, err
		}
	}
	first, err := r.sample(ctx, g)
	if err != nil {
		return 0, err
	}
	if err := r.fill(ctx, label, r.opts.Jobs); err != nil {
		return 0, err
	}
	p, err := r.follow(ctx, g, label)
	if err != nil {
		return 0, err
	}
	last, err := r.sample(ctx, g)
	if err != nil {
		return 0, err
	}
	group := fmt.Sprintf("%d stored", stored)
	if stored == 0 {
		group = "warming up"
	}
	res.add(group, "rate", float64(r.opts.Jobs)/p.ended.Sub(first.at).Seconds(), "msg/s")
	res.add(group, "gateway", r.each(last.gateway-first.gateway), "us")
	res.add(group, "PostgreSQL", r.each(last.pg-first.pg), "us")
	res.add(group, "broker", r.each(last.broker-first.broker), "us")
	each := r.each(last.gateway - first.gateway + last.pg - first.pg + last.broker - first.broker)
	res.add(group, "together", each, "us")
	res.add(group, "WAL a message", float64(last.wal-first.wal)/float64(r.opts.Jobs), "B")
	return each, nil
}

// store writes rows as finished messages of the last ten hours have them: claim, message, reference.
func (r *rig) store(ctx context.Context, have, n int) error {
	day := time.Now().UTC().Truncate(24 * time.Hour)
	id := postgres.FirstID(day) + 8*int64(have)
	const page = 500_000
	for from := 0; from < n; from += page {
		k := min(page, n-from)
		for _, s := range []string{
			`insert into claim (id, owner, launch_id, stage, part, off)
				select $1::bigint + 8 * i, 1, 0, 2, i % 4, i from generate_series(0, $2::int - 1) i`,
			fmt.Sprintf(`insert into message (id, profile_id, launch_id, variant, channel, status, flags, status_at, provider,
					sent_at, turn, attempt, parts, delivered_at)
				select $1::bigint + 8 * i, 0, 0, 0, 0, %d, 0, now(), 1, now(), 0, 1, 1, now()
				from generate_series(0, $2::int - 1) i`, delivery.RankDelivered),
			`insert into provider_ref (provider, ref, message_id, at)
				select 1, left(md5(($1::bigint + i)::text), 16), $1::bigint + 8 * i, now() - i % 36000 * interval '1 second'
				from generate_series(0, $2::int - 1) i`,
		} {
			if _, err := r.sql.General.Exec(ctx, s, id+8*int64(from), k); err != nil {
				return err
			}
		}
	}
	return nil
}
