package breach

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// words are how a code is said to people.
type words struct{ en, zh string }

func acts() map[string]words {
	return map[string]words{
		"document.read":   {"documents were opened", "文档被查阅"},
		"document.search": {"documents were listed in a search", "文档在检索结果中被列出"},
		"document.export": {"documents were copied out", "文档被导出"},
		"disclosure.give": {"documents were given to a third party", "文档被提供给第三方"},
		"document.store":  {"documents were stored", "文档被存入"},
		"accesslog.read":  {"the log of access was read", "访问记录被查看"},
		"audit.read":      {"the log of access was read", "访问记录被查看"},
	}
}

func categories() map[string]words {
	return map[string]words{
		"imaging": {"medical images", "医学影像"}, "report": {"reports", "报告"}, "diagnosis": {"diagnoses", "诊断"}, "result": {"examination results", "检查结果"},
		"history": {"medical history", "病史"}, "treatment-plan": {"treatment plans", "治疗方案"}, "prescription": {"prescriptions", "处方"},
		"allergy": {"allergies", "过敏史"}, "other": {"other medical documents", "其他医疗文档"}, "": {"other medical documents", "其他医疗文档"},
	}
}

func measures() map[string]words {
	return map[string]words{
		"revoke-person":     {"the access of a person was ended", "已终止相关人员的访问权限"},
		"revoke-credential": {"a credential was revoked", "已吊销相关凭证"},
		"freeze-patient":    {"all access to a patient's documents was stopped", "已冻结对相关患者文档的全部访问"},
		"thaw-patient":      {"access to a patient's documents was let again", "已恢复对相关患者文档的访问"},
		"freeze-region":     {"a storage region was frozen", "已冻结相关存储区域"},
		"thaw-region":       {"a storage region was taken into use again", "已恢复相关存储区域"},
		"rotate-keys":       {"encryption keys were renewed", "已更换加密密钥"},
	}
}

// said is a code in words: itself where there are none.
func said(table map[string]words, code string) words {
	if w, ok := table[code]; ok {
		return w
	}
	return words{code, code}
}

// list says each code of a map once, in order, in one language.
func list(table map[string]words, codes map[string]int64, in func(words) string, between string) string {
	var all []string
	for code := range codes {
		if w := in(said(table, code)); !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	slices.Sort(all)
	return strings.Join(all, between)
}

func inEnglish(w words) string { return w.en }
func inChinese(w words) string { return w.zh }

// zone is in which people here read the time.
var zone = time.FixedZone("UTC+8", 8*60*60)

func clock(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04 UTC+8") }

func (c Contact) line() string {
	var parts []string
	for _, p := range []string{c.Name, c.Email, c.Phone, c.Address} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

// Draft is a notice to one patient, in both languages. It names the patient by token
// alone: who sends it puts in the name.
type Draft struct {
	Patient string `json:"patient"`
	Chinese string `json:"zh"`
	English string `json:"en"`
}

// Notice drafts what one patient is told: what happened to their data, when, what was
// done, what they can do themselves, and whom they reach (PIPL, article 57). acts and
// documents are the patient's own.
func Notice(f Facts, patient string, theirs map[string]int64, first, last time.Time, documents map[string]int64) Draft {
	var done map[string]int64
	for _, m := range f.Done {
		if done == nil {
			done = make(map[string]int64)
		}
		done[m.Did]++
	}
	var zh, en strings.Builder
	if f.Drill {
		zh.WriteString("【演练，请勿发送：并未发生任何事件】\n\n")
		en.WriteString("[DRILL. DO NOT SEND: nothing has happened.]\n\n")
	}
	fmt.Fprintf(&zh, "个人信息安全事件通知\n\n患者编号：%s\n事件编号：%s\n\n您好：\n我们于 %s 发现一起涉及您个人信息的安全事件。\n", patient, f.Incident, clock(f.Discovered))
	fmt.Fprintf(&en, "Notice of a personal data breach\n\nPatient: %s\nIncident: %s\n\nOn %s we discovered a breach that concerns your personal data.\n", patient, f.Incident, clock(f.Discovered))
	if what := list(acts(), theirs, inChinese, "；"); what != "" {
		fmt.Fprintf(&zh, "发生了什么：%s（%s 至 %s）。\n", what, clock(first), clock(last))
		fmt.Fprintf(&en, "What happened: %s (between %s and %s).\n", list(acts(), theirs, inEnglish, "; "), clock(first), clock(last))
	}
	if kinds := list(categories(), documents, inChinese, "、"); kinds != "" {
		fmt.Fprintf(&zh, "可能涉及的信息种类：%s。\n", kinds)
		fmt.Fprintf(&en, "Kinds of data that may be concerned: %s.\n", list(categories(), documents, inEnglish, ", "))
	}
	zh.WriteString("可能的危害：他人可能知悉您的健康信息，或利用其冒充医疗机构与您联系。\n")
	en.WriteString("What could follow: others may learn about your health, or use what they learned to pose as your hospital.\n")
	if said := list(measures(), done, inChinese, "；"); said != "" {
		fmt.Fprintf(&zh, "我们已采取的措施：%s。\n", said)
		fmt.Fprintf(&en, "What we have done: %s.\n", list(measures(), done, inEnglish, "; "))
	}
	zh.WriteString("建议您：\n1. 对自称医院、保险或政府部门的来电、短信和邮件保持警惕，不要透露验证码或付款；\n2. 通过您已知的联系方式核实任何就诊或缴费要求；\n3. 您可以要求查看自己的访问记录，也可以要求更正、删除或限制处理您的信息；\n4. 如发现信息被滥用，请保存证据，联系我们并报警。\n")
	en.WriteString("What you can do:\n1. Be wary of calls, messages and mails that claim to come from a hospital, an insurer or an authority; give nobody codes or money.\n2. Confirm any request about treatment or payment through a contact you already know.\n3. You may ask for the log of access to your data, and for correction, deletion or restriction.\n4. If your data are misused, keep the evidence, tell us, and tell the police.\n")
	fmt.Fprintf(&zh, "\n个人信息保护负责人：%s\n", f.Officer.line())
	fmt.Fprintf(&en, "\nData protection officer: %s\n", f.Officer.line())
	return Draft{Patient: patient, Chinese: zh.String(), English: en.String()}
}
