package providers

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-gateway/herald/delivery"
)

// Setup is what a provider type gets to make an account.
type Setup struct {
	Name    string
	Channel delivery.Channel
	// Decode reads the account's settings strictly into a struct with yaml tags: unknown keys are errors.
	Decode func(into any) error
	// Window is the account's window: the provider sets its size as connections come and go.
	Window  *Window
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Type is the code behind the accounts of one type, such as smpp.
type Type struct {
	// New makes an account and starts to connect it. It does not wait for the connection; settings that cannot work are
	// errors that name the setting.
	New func(Setup) (Provider, error)
	// Check reports everything that is wrong with an account's settings, without connecting it. Of the setup it uses the
	// name, the channel and the settings.
	Check func(Setup) error
}
