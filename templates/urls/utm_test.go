package urls_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/herald-gateway/herald/templates/urls"
)

func TestPrepare(t *testing.T) {
	t.Parallel()
	sale := urls.UTM{Source: "herald", Medium: "sms", Campaign: "осень 2026"}
	const added = "utm_source=herald&utm_medium=sms&utm_campaign=%D0%BE%D1%81%D0%B5%D0%BD%D1%8C%202026"
	for name, c := range map[string]struct {
		in   string
		utm  urls.UTM
		want string
	}{
		"no query":               {"https://shop.test/sale", sale, "https://shop.test/sale?" + added},
		"no path":                {"https://shop.test", sale, "https://shop.test?" + added},
		"a query":                {"https://shop.test/?b=2&a=1", sale, "https://shop.test/?b=2&a=1&" + added},
		"an empty query":         {"https://shop.test/?", sale, "https://shop.test/?" + added},
		"a query that ends in &": {"https://shop.test/?a=1&", sale, "https://shop.test/?a=1&" + added},
		"a fragment stays last":  {"https://shop.test/a#top", sale, "https://shop.test/a?" + added + "#top"},
		"a fragment with ?":      {"https://shop.test/a#/b?c=d", sale, "https://shop.test/a?" + added + "#/b?c=d"},
		"existing ones stay": {
			"https://shop.test/?utm_source=mail&UTM_Medium=x", sale,
			"https://shop.test/?utm_source=mail&UTM_Medium=x&utm_campaign=%D0%BE%D1%81%D0%B5%D0%BD%D1%8C%202026",
		},
		"also encoded ones":       {"https://shop.test/?utm%5Fsource=a", urls.UTM{Source: "b"}, "https://shop.test/?utm%5Fsource=a"},
		"and empty ones":          {"https://shop.test/?utm_source", urls.UTM{Source: "b"}, "https://shop.test/?utm_source"},
		"nothing empty is added":  {"https://shop.test/", urls.UTM{Term: " "}, "https://shop.test/"},
		"order and repeats":       {"https://shop.test/?z=1&a=2&z=3&f[]=1&f[]=2", urls.UTM{}, "https://shop.test/?z=1&a=2&z=3&f[]=1&f[]=2"},
		"signed urls":             {"https://shop.test/d?sig=aB%2fc%3D&exp=1+2", urls.UTM{Source: "h"}, "https://shop.test/d?sig=aB%2fc%3D&exp=1+2&utm_source=h"},
		"cyrillic path":           {"https://shop.test/акции/осень?q=шарф", urls.UTM{}, "https://shop.test/%D0%B0%D0%BA%D1%86%D0%B8%D0%B8/%D0%BE%D1%81%D0%B5%D0%BD%D1%8C?q=%D1%88%D0%B0%D1%80%D1%84"},
		"cyrillic host":           {"https://магазин.рф:8443/a", urls.UTM{}, "https://xn--80aairftm.xn--p1ai:8443/a"},
		"an underscore":           {"https://my_shop.test/", urls.UTM{}, "https://my_shop.test/"},
		"the case of a host":      {"HTTPS://Shop.TEST/A", urls.UTM{}, "HTTPS://Shop.TEST/A"},
		"encoded stays, % alone":  {"https://shop.test/a%20b/100%/%zz", urls.UTM{}, "https://shop.test/a%20b/100%25/%25zz"},
		"spaces and quotes":       {" https://shop.test/a b\"<c> ", urls.UTM{}, "https://shop.test/a%20b%22%3Cc%3E"},
		"line ends":               {"https://shop.test/a\r\nb", urls.UTM{}, "https://shop.test/a%0D%0Ab"},
		"an address":              {"http://[::1]:80/a", urls.UTM{}, "http://[::1]:80/a"},
		"mail":                    {"mailto:a@shop.test", sale, "mailto:a@shop.test"},
		"a telephone":             {"tel:+78001234567", sale, "tel:+78001234567"},
		"a place on the page":     {"#top", sale, "#top"},
		"an application's scheme": {"shop://item/5", sale, "shop://item/5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := urls.Prepare(c.in, c.utm)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			again, err := urls.Prepare(got, c.utm)
			require.NoError(t, err)
			require.Equal(t, got, again, "twice is once")
		})
	}
}

func TestPrepare_Refuses(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"https://", "https:///a", "https://a b/", "https://shop.test@evil.test/", "https://shop.test:80x/", "http://a\\b/",
		"https://-/", "https://" + strings.Repeat("a", 64) + ".test/",
	} {
		_, err := urls.Prepare(bad, urls.UTM{})
		require.ErrorIs(t, err, urls.ErrHost, bad)
	}
	_, err := urls.Prepare("https://shop.test/"+strings.Repeat("a", urls.MaxBytes), urls.UTM{})
	require.ErrorIs(t, err, urls.ErrTooLong)
	_, err = urls.Prepare("https://shop.test/"+strings.Repeat("я", urls.MaxBytes/3), urls.UTM{})
	require.ErrorIs(t, err, urls.ErrTooLong, "it grows when it is escaped")
}

// Whatever the target is: preparing twice is preparing once, what comes out is a url, and it leads where it led.
func FuzzPrepare(f *testing.F) {
	for _, s := range []string{"https://shop.test/a?b=c#d", "http://магазин.рф/ш?x[]=%D0&y=%zz#я", "https://a/%", "https://a?b"} {
		f.Add(s, "source", "осень")
	}
	f.Fuzz(func(t *testing.T, target, source, campaign string) {
		utm := urls.UTM{Source: source, Campaign: campaign}
		got, err := urls.Prepare(target, utm)
		if err != nil {
			return
		}
		again, err := urls.Prepare(got, utm)
		if err != nil || again != got {
			t.Fatalf("%q became %q and then %q, %v", target, got, again, err)
		}
		if scheme, _, _ := strings.Cut(got, "://"); !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
			return
		}
		u, err := url.Parse(got)
		if err != nil {
			t.Skip("net/url is stricter about ports and addresses")
		}
		was, err := url.Parse(strings.TrimSpace(target))
		if err != nil {
			return
		}
		if u.Path != was.Path || u.Fragment != was.Fragment {
			t.Fatalf("%q leads elsewhere than %q", got, target)
		}
		for name, values := range was.Query() {
			if now := u.Query()[name]; strings.Join(now, "\x00") != strings.Join(values, "\x00") {
				t.Fatalf("%q: parameter %q was %q and is %q", target, name, values, now)
			}
		}
	})
}
