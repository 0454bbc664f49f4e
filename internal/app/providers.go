package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/herald-gateway/herald/configs"
	"github.com/herald-gateway/herald/delivery"
	"github.com/herald-gateway/herald/dispatcher"
	"github.com/herald-gateway/herald/internal/postgres"
	"github.com/herald-gateway/herald/providers"
	"github.com/herald-gateway/herald/providers/smpp"
	"github.com/herald-gateway/herald/providers/smpp/sim"
)

// types are the provider types by name. A new one is its folder and its line here.
func types() map[string]providers.Type {
	return map[string]providers.Type{
		"smpp": {New: smpp.New, Check: smpp.Check},
	}
}

// How the simulator in herald up behaves: like an operator on a good day.
const (
	simAnswer   = 20 * time.Millisecond
	simReceipts = 300 * time.Millisecond
	simStop     = 5 * time.Second
)

// simulated is the account that stands in for SMS when none is configured.
const simulated = "simulator"

// accounts are the provider accounts of this process, with their limiters and windows.
func (a *App) accounts(ctx context.Context, sink providers.Sink) ([]dispatcher.Account, error) {
	if err := CheckProviders(a.cfg); err != nil {
		return nil, err
	}
	list := a.cfg.Providers
	if a.opts.Simulate && !serves(list, delivery.ChannelSMS) {
		p, err := a.startSimulator()
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	names := postgres.NewProviderNames()
	var accounts []dispatcher.Account
	for i, p := range list {
		ch, err := delivery.ParseChannel(p.Channel)
		if err != nil {
			return nil, fmt.Errorf("providers[%d].channel: %w", i, err)
		}
		err = a.repeat(ctx, "register provider", func(ctx context.Context) error {
			_, err := names.ID(ctx, a.db.General, p.Name, p.Type, int16(ch))
			return err
		})
		if err != nil {
			return nil, err
		}
		w := providers.NewWindow()
		provider, err := types()[p.Type].New(providers.Setup{
			Name: p.Name, Channel: ch, Decode: p.Settings.Decode, Window: w,
			Log: a.log, Metrics: a.reg,
		})
		if err != nil {
			return nil, fmt.Errorf("providers[%d] %s: %w", i, p.Name, err)
		}
		if source, ok := provider.(providers.ReceiptSource); ok {
			source.Listen(sink)
		}
		accounts = append(accounts, dispatcher.Account{
			Provider: provider, Window: w, Limiter: providers.NewLimiter(p.Rate.PerSecond()),
		})
	}
	return accounts, nil
}

func serves(list []configs.Provider, ch delivery.Channel) bool {
	for _, p := range list {
		if p.Channel == ch.String() {
			return true
		}
	}
	return false
}

// CheckProviders reports everything that is wrong with the accounts: types and channels that are unknown, and settings.
func CheckProviders(cfg *configs.Config) error {
	var errs []error
	for i, p := range cfg.Providers {
		ch, err := delivery.ParseChannel(p.Channel)
		if err != nil {
			errs = append(errs, fmt.Errorf("providers[%d].channel: %w", i, err))
		}
		t, known := types()[p.Type]
		if !known {
			errs = append(errs, fmt.Errorf("providers[%d].type: %q is no type of provider", i, p.Type))
			continue
		}
		if err := t.Check(providers.Setup{Name: p.Name, Channel: ch, Decode: p.Settings.Decode}); err != nil {
			for _, fault := range each(err) {
				if faults := configs.Faults(nil); !errors.As(fault, &faults) { // those name their path themselves
					fault = fmt.Errorf("providers[%d].settings: %w", i, fault)
				}
				errs = append(errs, fault)
			}
		}
	}
	return errors.Join(errs...)
}

// each takes joined errors apart.
func each(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// startSimulator starts an SMSC in this process and returns the account that speaks to it.
func (a *App) startSimulator() (configs.Provider, error) {
	s, err := sim.Start(sim.Config{
		HTTPListen: "127.0.0.1:0", ReceiptDelay: simReceipts, ReceiptSpread: simReceipts, ResponseDelay: simAnswer,
		Rates: sim.Rates{Undelivered: 0.02, Expired: 0.005}, Log: a.log,
	})
	if err != nil {
		return configs.Provider{}, err
	}
	a.stops.push("SMSC simulator", simStop, func(context.Context) error { return s.Close() })
	a.info.SMSC = "http://" + s.HTTPAddr()
	settings, err := configs.Parse("simulator", fmt.Appendf(nil, `
providers:
  - {name: %s, type: smpp, channel: sms, settings: {addr: %q, system_id: herald, source: SHOP, binds: 2, window: 200}}
`, simulated, s.Addr()), nil)
	if err != nil {
		return configs.Provider{}, err
	}
	return settings.Providers[0], nil
}
