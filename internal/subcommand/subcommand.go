//go:build unix

// Package subcommand runs a command on behalf of a program that starts something for it and cleans up after it, such as
// withserver.
package subcommand

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// Run runs the command with more variables in its environment, and gives its exit status, or 1 with an error when it could
// not be run. Signals do not end this program meanwhile: the command gets ^C from the terminal itself, and the others from
// here.
func Run(env []string, name string, args ...string) (status int, err error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	cmd := exec.Command(name, args...) //nolint:gosec,noctx // it runs what it was told to, for as long as it takes
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			if sig != os.Interrupt {
				_ = cmd.Process.Signal(sig)
			}
		case err := <-ended:
			var exit *exec.ExitError
			switch {
			case err == nil:
				return 0, nil
			case errors.As(err, &exit) && exit.ExitCode() >= 0:
				return exit.ExitCode(), nil
			default:
				return 1, err
			}
		}
	}
}
