package locale

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// directives are the letters that a date format knows after a percent sign.
const directives = "demyYBbAaHIMSpj%"

// CheckDate reports what a date format asks for and Herald does not know. Widths and flags other than %-d and %-m are not
// known: they could print megabytes.
func CheckDate(format string) error {
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		i++
		if i < len(format)-1 && format[i] == '-' && (format[i+1] == 'd' || format[i+1] == 'm') {
			i++
			continue
		}
		if i >= len(format) {
			return fmt.Errorf("the date format ends with %%")
		}
		if strings.IndexByte(directives, format[i]) < 0 {
			return fmt.Errorf("the date format does not know %%%c", []rune(format[i:])[0])
		}
	}
	return nil
}

// DateFormat returns the format in which a locale writes a day when no other is given.
func (l Locale) DateFormat() string {
	if l == EN {
		return "%-d %B %Y"
	}
	return "%d.%m.%Y"
}

// AppendDate writes a day or time by a strftime format, with the names of the locale. Months stand in the genitive when
// the format has a day (24 ноября), else in the nominative (ноябрь). What CheckDate refuses is written as it stands.
func (l Locale) AppendDate(dst []byte, t time.Time, format string) []byte {
	day := strings.Contains(format, "%d") || strings.Contains(format, "%-d") || strings.Contains(format, "%e")
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			dst = append(dst, format[i])
			continue
		}
		i++
		short := format[i] == '-' && i+1 < len(format)
		if short {
			i++
		}
		dst = l.appendDirective(dst, t, format[i], short, day)
	}
	return dst
}

func (l Locale) appendDirective(dst []byte, t time.Time, directive byte, short, day bool) []byte {
	names := &calendars[l.Or()]
	month, weekday := int(t.Month())-1, int(t.Weekday())
	switch directive {
	case 'd', 'm':
		n := t.Day()
		if directive == 'm' {
			n = month + 1
		}
		if short {
			return strconv.AppendInt(dst, int64(n), 10)
		}
		return appendPadded(dst, n, 2, '0')
	case 'e':
		return appendPadded(dst, t.Day(), 2, ' ')
	case 'y':
		return appendPadded(dst, t.Year()%100, 2, '0')
	case 'Y':
		return appendPadded(dst, t.Year(), 4, '0')
	case 'B':
		if day {
			return append(dst, names.genitive[month]...)
		}
		return append(dst, names.months[month]...)
	case 'b':
		return append(dst, names.monthsShort[month]...)
	case 'A':
		return append(dst, names.days[weekday]...)
	case 'a':
		return append(dst, names.daysShort[weekday]...)
	case '%':
		return append(dst, '%')
	}
	return appendClock(dst, t, directive)
}

func appendClock(dst []byte, t time.Time, directive byte) []byte {
	switch directive {
	case 'H':
		return appendPadded(dst, t.Hour(), 2, '0')
	case 'I':
		return appendPadded(dst, (t.Hour()+11)%12+1, 2, '0')
	case 'M':
		return appendPadded(dst, t.Minute(), 2, '0')
	case 'S':
		return appendPadded(dst, t.Second(), 2, '0')
	case 'p':
		if t.Hour() < 12 {
			return append(dst, "AM"...)
		}
		return append(dst, "PM"...)
	case 'j':
		return appendPadded(dst, t.YearDay(), 3, '0')
	}
	return append(dst, '%', directive)
}

// calendar holds the names of months from January and of days from Sunday.
type calendar struct {
	months, genitive, monthsShort [12]string
	days, daysShort               [7]string
}

var calendars = [...]calendar{ //nolint:gochecknoglobals // a table that never changes
	RU: {
		months: [12]string{
			"январь", "февраль", "март", "апрель", "май", "июнь", "июль", "август", "сентябрь", "октябрь", "ноябрь", "декабрь",
		},
		genitive: [12]string{
			"января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября", "декабря",
		},
		monthsShort: [12]string{"янв", "фев", "мар", "апр", "мая", "июн", "июл", "авг", "сен", "окт", "ноя", "дек"},
		days:        [7]string{"воскресенье", "понедельник", "вторник", "среда", "четверг", "пятница", "суббота"},
		daysShort:   [7]string{"вс", "пн", "вт", "ср", "чт", "пт", "сб"},
	},
	UK: {
		months: [12]string{
			"січень", "лютий", "березень", "квітень", "травень", "червень", "липень", "серпень", "вересень", "жовтень",
			"листопад", "грудень",
		},
		genitive: [12]string{
			"січня", "лютого", "березня", "квітня", "травня", "червня", "липня", "серпня", "вересня", "жовтня", "листопада",
			"грудня",
		},
		monthsShort: [12]string{
			"січ", "лют", "бер", "кві", "тра", "чер", "лип", "сер", "вер", "жов", "лис", "гру",
		},
		days:      [7]string{"неділя", "понеділок", "вівторок", "середа", "четвер", "пʼятниця", "субота"},
		daysShort: [7]string{"нд", "пн", "вт", "ср", "чт", "пт", "сб"},
	},
	KK: {
		months: [12]string{
			"қаңтар", "ақпан", "наурыз", "сәуір", "мамыр", "маусым", "шілде", "тамыз", "қыркүйек", "қазан", "қараша", "желтоқсан",
		},
		genitive: [12]string{
			"қаңтар", "ақпан", "наурыз", "сәуір", "мамыр", "маусым", "шілде", "тамыз", "қыркүйек", "қазан", "қараша", "желтоқсан",
		},
		monthsShort: [12]string{"қаң", "ақп", "нау", "сәу", "мам", "мау", "шіл", "там", "қыр", "қаз", "қар", "жел"},
		days:        [7]string{"жексенбі", "дүйсенбі", "сейсенбі", "сәрсенбі", "бейсенбі", "жұма", "сенбі"},
		daysShort:   [7]string{"жс", "дс", "сс", "ср", "бс", "жм", "сб"},
	},
	EN: {
		months: [12]string{
			"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
		},
		genitive: [12]string{
			"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
		},
		monthsShort: [12]string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"},
		days:        [7]string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
		daysShort:   [7]string{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"},
	},
}
