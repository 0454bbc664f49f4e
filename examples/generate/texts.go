package main

import "github.com/herald-gateway/herald/delivery"

// kind is one occasion on which the shop writes to its clients.
type kind struct {
	name     string
	category delivery.Category
	topic    string
	weight   int // how often it comes up, relative to the others
	texts    []text
	// data gives the values of the macros beside the name; nil when there are none. It draws in a fixed order.
	data func(d *draw) map[string]any
}

type text struct{ locale, text string }

// kinds is the shop's correspondence: one and several parts, in Russian (UCS-2), English and transliterated Russian
// (GSM 7-bit, some with characters of its extension), with both forms of macros.
func kinds() []kind {
	const marketing, service = delivery.CategoryMarketing, delivery.CategoryTransactional
	return []kind{
		{"sale", marketing, "sales", 24, []text{
			{ru, "{{ name }}, скидки до {{ percent }}% на осеннюю коллекцию! Только до {{ date }}. shop.example/sale"},
			{ru, "[#Contact.Name#], открыли закрытую распродажу для своих: скидка {{ percent }}% на всё, что уже уценено. " +
				"Назовите на кассе код {{ code }} или введите его в приложении. Акция до {{ date }}, товары с красным ценником " +
				"не участвуют. Подробности: shop.example/vip"},
			{en, "{{ name }}, up to {{ percent }}% off the autumn collection until {{ date }}. shop.example/sale"},
			{en, "Hi {{ name }}! Members shop first: {{ percent }}% off everything already reduced, online & in store, until " +
				"{{ date }}. Your code: [{{ code }}]. Free delivery from 50€, returns within 30 days. Reply STOP to opt out."},
		}, func(d *draw) map[string]any {
			return map[string]any{"percent": d.in(3, 14) * 5, "date": d.date(), "code": d.code("SALE")}
		}},
		{"bonus", marketing, "loyalty", 16, []text{
			{ru, "{{ name }}, {{ bonus }} бонусов сгорят {{ date }}. Успейте потратить!"},
			{ru, "[#Contact.Name#], на вашей карте {{ bonus }} бонусов, и {{ date }} они сгорят. Оплатите ими до 50% покупки в " +
				"любом магазине или на сайте. 1 бонус = 1 рубль. Баланс и история: shop.example/card"},
			{translit, "{{ name }}, {{ bonus }} bonusov sgoryat {{ date }}. Uspeyte potratit! shop.example/card"},
			{en, "{{ name }}, {{ bonus }} points expire on {{ date }}. Spend them in any store: 100 points = 1€."},
		}, func(d *draw) map[string]any { return map[string]any{"bonus": d.in(3, 180) * 10, "date": d.date()} }},
		{"birthday", marketing, "loyalty", 8, []text{
			{ru, "{{ name }}, с днём рождения! 🎂 Дарим {{ bonus }} бонусов на 14 дней."},
			{ru, "[#Contact.Name#], поздравляем с днём рождения! Пусть сбудется всё задуманное. А от нас {{ bonus }} бонусов и " +
				"скидка {{ percent }}% на одну покупку по коду {{ code }}: неделя до и неделя после праздника. Обнимаем, ваш SHOP"},
			{en, "Happy birthday, {{ name }}! Enjoy {{ percent }}% off one purchase with code {{ code }}, for the next 14 days."},
		}, func(d *draw) map[string]any {
			return map[string]any{"bonus": d.in(2, 10) * 100, "percent": d.in(2, 5) * 5, "code": d.code("BDAY")}
		}},
		{"cart", marketing, "sales", 8, []text{
			{ru, "{{ name }}, {{ item }} всё ещё в корзине. Осталось {{ left }} шт.: shop.example/cart"},
			{en, "{{ name }}, {{ item_en }} is still in your basket, only {{ left }} left: shop.example/cart"},
		}, func(d *draw) map[string]any {
			i := d.in(0, len(items())-1)
			return map[string]any{"item": items()[i][0], "item_en": items()[i][1], "left": d.in(1, 5)}
		}},
		{"survey", marketing, "default", 5, []text{
			{ru, "[#Contact.Name#], как вам покупка в магазине «{{ store }}»? Два вопроса, одна минута: shop.example/q"},
			{en, "{{ name }}, how did we do? Two questions, one minute: shop.example/q"},
		}, func(d *draw) map[string]any { return map[string]any{"store": d.pick(stores())} }},
		{"ordered", service, "service", 10, []text{
			{ru, "{{ name }}, заказ {{ order }} на {{ sum }} ₽ принят."},
			{ru, "[#Contact.Name#], спасибо за заказ {{ order }}! Сумма {{ sum }} ₽, доставим {{ date }} с 10 до 18. Курьер позвонит " +
				"за час. Изменить время или адрес можно до 20:00 накануне: shop.example/o"},
			{en, "{{ name }}, we received order {{ order }} ({{ sum }} RUB). Delivery on {{ date }}, 10:00-18:00."},
		}, order},
		{"shipped", service, "service", 12, []text{
			{ru, "Заказ {{ order }} передан в доставку. Ждите {{ date }}."},
			{translit, "{{ name }}, zakaz {{ order }} peredan v dostavku. Zhdite {{ date }}."},
			{en, "{{ name }}, order {{ order }} is on its way and arrives on {{ date }}. Track it: shop.example/t"},
		}, order},
		{"pickup", service, "service", 8, []text{
			{ru, "{{ name }}, заказ {{ order }} ждёт вас: {{ store }}. Код получения {{ pin }}, храним 7 дней."},
			{en, "{{ name }}, order {{ order }} is ready for pick-up. Code {{ pin }}, we keep it for 7 days."},
		}, func(d *draw) map[string]any {
			return map[string]any{"order": d.order(), "store": d.pick(stores()), "pin": d.digits(4)}
		}},
		{"code", service, "service", 14, []text{
			{ru, "Код {{ pin }}. Никому его не сообщайте."},
			{en, "{{ pin }} is your code. Do not share it with anyone."},
			{translit, "Kod podtverzhdeniya: {{ pin }}"},
		}, func(d *draw) map[string]any { return map[string]any{"pin": d.digits(6)} }},
		{"receipt", service, "service", 10, []text{
			{ru, "Чек на {{ sum }} ₽, магазин «{{ store }}». Начислено {{ bonus }} бонусов, покупка {{ order }}. Электронный чек " +
				"хранится в приложении: shop.example/r"},
			{en, "Receipt {{ order }}: {{ sum }} RUB, {{ bonus }} points earned. Thank you, {{ name }}!"},
		}, func(d *draw) map[string]any {
			return map[string]any{
				"order": d.order(), "sum": d.in(3, 190) * 100, "bonus": d.in(1, 60) * 5, "store": d.pick(stores()),
			}
		}},
		{"refund", service, "service", 4, []text{
			{ru, "{{ name }}, вернули {{ sum }} ₽ за заказ {{ order }}. Банк зачислит деньги в срок до 5 рабочих дней."},
			{en, "{{ name }}, we refunded {{ sum }} RUB for order {{ order }}. Your bank may need up to 5 working days."},
		}, order},
	}
}

func order(d *draw) map[string]any {
	return map[string]any{"order": d.order(), "sum": d.in(5, 240) * 100, "date": d.date()}
}

// The languages of the texts. A Russian phone cannot show Cyrillic in 160 characters, hence the old custom to
// transliterate.
const (
	ru       = "ru"
	en       = "en"
	translit = "ru-Latn"
)

// names holds the forms of a client's name by language.
func names() []map[string]string {
	var list []map[string]string
	for _, n := range [][3]string{
		{"Ольга", "Olga", "Alice"},
		{"Анна", "Anna", "Anna"},
		{"Сергей", "Sergey", "George"},
		{"Мария", "Mariya", "Mary"},
		{"Дмитрий", "Dmitriy", "James"},
		{"Екатерина", "Ekaterina", "Kate"},
		{"Алексей", "Aleksey", "Alex"},
		{"Наталья", "Natalya", "Natalie"},
		{"Иван", "Ivan", "John"},
		{"Татьяна", "Tatyana", "Tanya"},
		{"Павел", "Pavel", "Paul"},
		{"Ирина", "Irina", "Irene"},
		{"Пётр", "Petr", "Peter"},
		{"Зульфия", "Zulfiya", "Zoë"},
		{"Рустам", "Rustam", "René"},
		{"Анна-Мария", "Anna-Mariya", "Anne-Marie"},
	} {
		list = append(list, map[string]string{ru: n[0], translit: n[1], en: n[2]})
	}
	return list
}

func items() [][2]string {
	return [][2]string{
		{"пальто шерстяное", "the wool coat"},
		{"кроссовки", "the pair of trainers"},
		{"чайник", "the kettle"},
		{"книга «Вечера»", "the book \"Evenings\""},
		{"набор для рисования", "the drawing set"},
		{"рюкзак", "the rucksack"},
	}
}

func stores() []string {
	return []string{"Невский", "Арбат", "Галерея", "Мега Дыбенко", "Седьмое небо", "Зелёный остров"}
}

func zones() []string {
	return []string{"Europe/Moscow", "Europe/Samara", "Asia/Yekaterinburg", "Asia/Novosibirsk", "Asia/Vladivostok"}
}
