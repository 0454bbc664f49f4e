//go:build integration

package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	duestore "github.com/herald-gateway/herald/cascade/postgres"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/dispatcher"
	"github.com/herald-gateway/herald/dispatcher/postgres"
	pg "github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/internal/postgres/pgtest"
)

type fixture struct {
	*testing.T
	db     *pg.DB
	store  *postgres.Store
	owners *postgres.Owners
	owner  int64
}

func setup(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t, db: pgtest.DB(t)}
	var err error
	f.store, err = postgres.NewStore(t.Context(), f.db.Hot, "cluster", duestore.New(f.db.Hot))
	require.NoError(t, err)
	f.owners = postgres.NewOwners(f.db.General)
	f.owner = f.register("a")
	return f
}

func (f *fixture) register(process string) int64 {
	o, err := f.owners.Register(f.Context(), process, "herald-1")
	require.NoError(f, err)
	f.Cleanup(func() { _ = f.owners.Retire(f.Context(), o.ID) })
	return o.ID
}

func (f *fixture) claim(asks ...dispatcher.Ask) []dispatcher.Claimed {
	got, err := f.store.Claim(f.Context(), f.owner, asks, time.Now())
	require.NoError(f, err)
	return got
}

func (f *fixture) number(sql string, args ...any) (n int) {
	require.NoError(f, f.db.General.QueryRow(f.Context(), sql, args...).Scan(&n))
	return n
}

func byKey(key string) dispatcher.Ask {
	return dispatcher.Ask{Lane: delivery.LaneBulk, Key: key, Launch: "autumn"}
}

func at(part int, off int64) dispatcher.Ask {
	return dispatcher.Ask{Lane: delivery.LaneBulk, Partition: part, Offset: off}
}

func TestStore_KeysAreRemembered(t *testing.T) {
	t.Parallel()
	f := setup(t)
	first := f.claim(byKey("x"), byKey("y"), byKey("x"))
	require.Equal(t, first[0].ID, first[2].ID)
	require.NotEqual(t, first[0].ID, first[1].ID)
	require.True(t, first[0].Ours && first[0].New && first[1].Ours && !first[2].Ours)
	again := f.claim(byKey("y"))
	require.Equal(t, first[1].ID, again[0].ID)
	require.False(t, again[0].Ours)
	require.Equal(t, 2, f.number(`select n from launch_claimed join launch on id = launch_id where label = 'autumn'`))
}

func TestStore_RecordsWithoutKeyHaveTheIDOfTheirPlace(t *testing.T) {
	t.Parallel()
	f := setup(t)
	first := f.claim(at(0, 10), at(0, 11), at(0, 15), at(1, 10), at(0, 500))
	require.Equal(t, delivery.ID(8), first[1].ID-first[0].ID)
	require.Equal(t, delivery.ID(40), first[2].ID-first[0].ID, "a small gap belongs to nobody")
	again := f.claim(at(0, 9), at(0, 10), at(0, 12), at(0, 15), at(0, 16), at(1, 10), at(0, 500), at(0, 501))
	for i, want := range map[int]int{1: 0, 3: 2, 5: 3, 6: 4} {
		require.Equal(t, first[want].ID, again[i].ID)
		require.False(t, again[i].Ours)
	}
	ids := map[delivery.ID]bool{}
	for _, c := range append(first, again[0], again[2], again[4], again[7]) {
		ids[c.ID] = true
	}
	require.Len(t, ids, 9, "every place has an id of its own")
}

func TestStore_LifeOfAClaim(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	c := f.claim(byKey("x"))[0]
	ours, err := f.store.Mark(ctx, f.owner, []delivery.ID{c.ID})
	require.NoError(t, err)
	require.Equal(t, []delivery.ID{c.ID}, ours)
	require.NoError(t, f.store.Unmark(ctx, f.owner, ours))
	seen, err := f.store.Look(ctx, ours)
	require.NoError(t, err)
	require.Zero(t, seen[0].Stage)

	hold := dispatcher.Hold{
		Job: c.ID, Due: delivery.Due{At: time.Now().Add(-time.Second), Kind: delivery.DueAgain, Message: c.ID, Turn: 1},
		Body: []byte("body"),
	}
	ours, err = f.store.Hold(ctx, f.owner, []dispatcher.Hold{hold})
	require.NoError(t, err)
	require.Len(t, ours, 1)
	ours, err = f.store.Hold(ctx, f.owner, []dispatcher.Hold{hold})
	require.NoError(t, err)
	require.Empty(t, ours, "a turn ends once")
	require.Equal(t, 1, f.number(`select count(*) from due`))
	require.Equal(t, 1, f.number(`select count(*) from job_body`))

	require.False(t, f.claim(byKey("x"))[0].Ours, "the first record, read again")
	back := dispatcher.Ask{ID: c.ID, Turn: 1}
	require.True(t, f.claim(back)[0].Ours)
	require.False(t, f.claim(back)[0].Ours, "the same row produced twice")
	seen, err = f.store.Look(ctx, []delivery.ID{c.ID, c.ID + 8})
	require.NoError(t, err)
	require.Equal(t, []dispatcher.Claim{{ID: c.ID, Owner: f.owner, Turn: 1}}, seen)
}

func TestStore_DeadOwnersAreFencedAndFollowed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	c := f.claim(byKey("x"))[0]
	other := f.register("b")
	look := func() dispatcher.Claim {
		seen, err := f.store.Look(ctx, []delivery.ID{c.ID})
		require.NoError(t, err)
		return seen[0]
	}
	alive := look()
	require.False(t, alive.Dead)

	// Silent for too long: dead for ever.
	_, err := f.db.General.Exec(ctx, `update owner set seen_at = seen_at - interval '1 minute' where id = $1`, f.owner)
	require.NoError(t, err)
	gone, err := f.owners.Reap(ctx, 15*time.Second)
	require.NoError(t, err)
	require.Equal(t, []string{"herald-1"}, gone)
	ok, err := f.owners.Beat(ctx, f.owner)
	require.NoError(t, err)
	require.False(t, ok)
	_, err = f.store.Claim(ctx, f.owner, []dispatcher.Ask{byKey("y")}, time.Now())
	require.ErrorIs(t, err, dispatcher.ErrOwnerDead)
	ours, err := f.store.Mark(ctx, f.owner, []delivery.ID{c.ID})
	require.NoError(t, err)
	require.Empty(t, ours)

	dead := look()
	require.True(t, dead.Dead)
	taken, err := f.store.TakeOver(ctx, other, []dispatcher.Claim{dead})
	require.NoError(t, err)
	require.Len(t, taken, 1)
	taken, err = f.store.TakeOver(ctx, other, []dispatcher.Claim{dead})
	require.NoError(t, err)
	require.Empty(t, taken, "only as it was looked at")
}

func TestOwners_NameFollowsTheProcess(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	next, err := f.owners.Register(ctx, "a", "herald-2") // the same store holds the name, as after a declared death
	require.NoError(t, err)
	require.Equal(t, []string{"herald-1"}, next.Gone)

	second := postgres.NewOwners(f.db.General)
	o, err := second.Register(ctx, "a", "herald-3")
	require.NoError(t, err)
	require.Equal(t, "a#2", o.Process, "a living process holds the name")
	require.NoError(t, second.Retire(ctx, o.ID))
	require.NoError(t, f.owners.Retire(ctx, next.ID))
}

func TestStore_ConcurrentClaimsOfTheSameKeys(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const workers, jobs = 4, 500
	var wg sync.WaitGroup
	granted := make([]int, workers)
	for w := range workers {
		wg.Go(func() {
			asks := make([]dispatcher.Ask, jobs)
			for i := range asks {
				asks[(i*7+w*13)%jobs] = byKey(fmt.Sprint("k", i))
			}
			for _, c := range f.claim(asks...) {
				if c.Ours {
					granted[w]++
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range granted {
		sum += n
	}
	require.Equal(t, jobs, sum)
	require.Equal(t, jobs, f.number(`select sum(n) from launch_claimed join launch on id = launch_id where label = 'autumn'`))
}

// Whatever overlaps with whatever: one place and one key always have one id, nothing shares it, and of all that ask for it
// one gets the job.
func TestStore_ClaimsOverlapAtRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			claimAtRandom(setup(t), rand.New(rand.NewPCG(seed, seed)))
		})
	}
}

// Partitions that begin anew and partitions that are read again come in one batch.
func TestStore_NewAndKnownPlacesShareNoID(t *testing.T) {
	t.Parallel()
	f := setup(t)
	known := f.claim(at(1, 0), at(1, 1))
	got := f.claim(at(0, 0), at(0, 1), at(1, 1), at(1, 2), at(1, 3))
	require.Equal(t, known[1].ID, got[2].ID)
	ids := map[delivery.ID]bool{}
	for _, c := range append(got, known[0]) {
		ids[c.ID] = true
	}
	require.Len(t, ids, 6)
}

func claimAtRandom(f *fixture, rng *rand.Rand) {
	ids, names := map[string]delivery.ID{}, map[delivery.ID]string{}
	granted := map[delivery.ID]int{}
	cascades := map[delivery.ID]bool{}
	next := [2]int64{}
	for range 120 {
		var asks []dispatcher.Ask
		var asked []string
		add := func(a dispatcher.Ask, name string) {
			if rng.IntN(3) == 0 {
				a.Body = []byte("{}")
			}
			asks, asked = append(asks, a), append(asked, name)
		}
		for part := range next { // mostly what follows, sometimes what was read before
			from := next[part]
			if rng.IntN(4) == 0 {
				from = max(0, from-int64(rng.IntN(8)))
			}
			for off := from; off < from+int64(rng.IntN(6)); off++ {
				if rng.IntN(5) > 0 {
					add(at(part, off), fmt.Sprintf("%d/%d", part, off))
				}
				next[part] = max(next[part], off+1)
			}
		}
		for range rng.IntN(3) {
			key := fmt.Sprint("key", rng.IntN(60))
			add(byKey(key), key)
		}
		for i, c := range f.claim(asks...) {
			known, seen := ids[asked[i]]
			if seen {
				require.Equal(f, known, c.ID, asked[i])
			} else {
				require.Empty(f, names[c.ID], "%s has the id of another one", asked[i])
				ids[asked[i]], names[c.ID] = c.ID, asked[i]
			}
			require.Equal(f, !seen, c.Ours)
			require.Equal(f, !seen, c.New)
			if c.New {
				granted[c.ID]++
				cascades[c.ID] = asks[i].Body != nil
			}
		}
	}
	require.Len(f, granted, len(ids))
	require.Equal(f, len(ids), f.number(`select count(*) from claim where owner = $1`, f.owner))
	require.Equal(f, len(ids), f.number(`select sum(n) from launch_claimed where owner = $1`, f.owner))
	bodies := 0
	for _, kept := range cascades {
		if kept {
			bodies++
		}
	}
	require.Positive(f, bodies)
	require.Equal(f, bodies, f.number(`select count(*) from job_body`))
}

func TestStore_AdmitDeclaresWhatIsNew(t *testing.T) {
	t.Parallel()
	f := setup(t)
	jobs := []*delivery.Job{{Key: "a", Launch: "l"}, {Key: "b", Launch: "l"}, {Launch: "l"}, {Key: "a", Launch: "l"}}
	first, err := f.store.Admit(t.Context(), jobs, true, time.Now())
	require.NoError(t, err)
	require.Equal(t, []bool{false, false, false, true},
		[]bool{first[0].Duplicate, first[1].Duplicate, first[2].Duplicate, first[3].Duplicate})
	require.Equal(t, first[0].ID, first[3].ID)
	require.Equal(t, 3, f.number(`select declared from launch where label = 'l'`))
	again, err := f.store.Admit(t.Context(), jobs[:2], true, time.Now())
	require.NoError(t, err)
	require.Equal(t, first[1].ID, again[1].ID)
	require.True(t, again[0].Duplicate)
	require.Equal(t, 3, f.number(`select declared from launch where label = 'l'`))
}

func TestStore_BadDataIsRefusedForGood(t *testing.T) {
	t.Parallel()
	f := setup(t)
	_, err := f.store.Claim(t.Context(), f.owner, []dispatcher.Ask{{Key: "x", Launch: "a\x00b"}}, time.Now())
	require.ErrorIs(t, err, dispatcher.ErrBad)
}
