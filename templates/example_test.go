package templates_test

import (
	"fmt"

	"github.com/herald-gateway/herald/templates"
	"github.com/herald-gateway/herald/templates/value"
)

// A template is compiled once and rendered for every client; a client without a value that the template needs gets no
// message, and the error says why.
func ExampleCompile() {
	compiled, diags := templates.Compile(templates.Source{
		Parts: []templates.Part{{
			Name: "sms.text", Text: `[#Клиент.Имя#], у вас {{ bonus }} {{ bonus | plural: "бонус", "бонуса", "бонусов" }}`,
		}},
		Params: []templates.Param{{Name: "bonus", Kind: value.Int}},
	}, templates.Schema{})
	fmt.Println(len(diags), compiled.Fields().Paths)

	var out templates.Rendered
	data := value.OfObject(map[string]value.Value{"bonus": value.OfInt(22)})
	for _, name := range []string{"Анна", ""} {
		contact := value.OfObject(map[string]value.Value{"first_name": value.Text(name)})
		if err := compiled.Render(&out, &templates.Input{Contact: contact, Data: data}); err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%s\n", out.Part("sms.text"))
	}
	// Output:
	// 0 [contact.first_name contact.full_name contact.name data.bonus]
	// Анна, у вас 22 бонуса
	// sms.text 1:1: macro "Клиент.Имя": no value
}
