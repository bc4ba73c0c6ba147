package audit

import (
	"fmt"
	"strings"
	"time"

	"medvault/vault/record"
)

// Language in which a leaf is told. The zero value is English.
type Language string

const (
	English Language = "en"
	Chinese Language = "zh"
)

// Words tell a leaf in a sentence for the patient it is about: who did what with which
// document, what for, and how it was decided. They say nothing that the leaf does not,
// so whoever has the leaf can tell whether they are true to it.
func (l Leaf) Words(in Language) string {
	t := tongues()[English]
	if in == Chinese {
		t = tongues()[Chinese]
	}
	did, object := t.act(l)
	who := l.Actor
	if role := t.roles[l.Role]; role != "" {
		who = fmt.Sprintf(t.who, l.Actor, role)
	}
	s := fmt.Sprintf(did, who, object)
	if l.View == record.ViewDeidentified {
		s += t.deidentified
	}
	if l.Recipient != "" {
		s += fmt.Sprintf(t.recipient, l.Recipient)
	}
	if purpose := t.purposes[l.Purpose]; purpose != "" {
		s += fmt.Sprintf(t.purpose, purpose)
	} else if l.Purpose != "" {
		s += fmt.Sprintf(t.purpose, l.Purpose)
	}
	if l.Window > 0 && l.Decision == Allow {
		s += fmt.Sprintf(t.window, l.Time.UTC().Add(l.Window).Format(time.TimeOnly))
	}
	if l.Decision == Deny {
		s += fmt.Sprintf(t.refused, l.Reason)
	}
	return s + t.stop
}

// tongue is how one language says it. Formats of acts take who and which object.
type tongue struct {
	who, purpose, recipient, window, refused, deidentified, stop string

	object   string // takes an object id
	matter   string // takes the id of a case or disclosure
	given    string // takes the id of a package, or of the receipt of a push
	nothing  string // in the place of an object that is not named
	other    string // an act that has no sentence of its own; takes who, object and the act's code
	tried    string // in front of an act that was refused; takes who, object and the act's code
	acts     map[record.Action]string
	roles    map[record.Role]string
	purposes map[record.Purpose]string
}

// act is the sentence of an act, with places for who and which object.
func (t tongue) act(l Leaf) (format, object string) {
	if object = t.nothing; l.Object != "" {
		object = fmt.Sprintf(t.object, l.Object)
		if strings.HasPrefix(string(l.Action), "case.") || l.Action == record.ActionDisclosePropose || l.Action == record.ActionDiscloseApprove {
			object = fmt.Sprintf(t.matter, l.Object)
		}
		if l.Action == record.ActionExport { // of a single document nothing is exported
			object = fmt.Sprintf(t.given, l.Object)
		}
	}
	format, known := t.acts[l.Action]
	code := strings.ReplaceAll(string(l.Action), "%", "%%")
	switch {
	case l.Decision == Deny:
		format = fmt.Sprintf(t.tried, code)
	case !known:
		format = fmt.Sprintf(t.other, code)
	}
	return format, object
}

func tongues() map[Language]tongue {
	return map[Language]tongue{English: {
		who: "%s (%s)", purpose: ", for %s", recipient: ", for the institution %s", window: "; further reads until %s UTC are part of this line",
		refused: "; this was refused (%s)", deidentified: ", without identity", stop: ".",
		object: "document %s", matter: "the matter %s", given: "your record (package or receipt %s)", nothing: "your record",
		other: "%%[1]s did %%[2]s: %[1]s", tried: "%%[1]s asked for %%[2]s: %[1]s",
		acts: map[record.Action]string{
			record.ActionStore:            "%[1]s stored %[2]s",
			record.ActionRead:             "%[1]s read %[2]s",
			record.ActionSearch:           "%[1]s found %[2]s in a search and saw its headings",
			record.ActionExport:           "%[1]s gave out a copy of %[2]s",
			record.ActionProvide:          "%[1]s gave out %[2]s in the original, as a request about your data asked for",
			record.ActionCareAdd:          "%[1]s entered a care relationship in %[2]s",
			record.ActionCareEnd:          "%[1]s ended a care relationship in %[2]s",
			record.ActionCareList:         "%[1]s looked at who treats you, in %[2]s",
			record.ActionAttest:           "%[1]s asked how identity was taken out of %[2]s",
			record.ActionAuditRead:        "%[1]s looked in the log of all acts for %[2]s",
			record.ActionAccessLog:        "%[1]s read this log of accesses to %[2]s",
			record.ActionReviewRead:       "%[1]s looked at %[2]s to decide whether it may be shown",
			record.ActionReviewRelease:    "%[1]s released the view without identity of %[2]s",
			record.ActionReviewRefuse:     "%[1]s kept back the view without identity of %[2]s",
			record.ActionSupersede:        "%[1]s replaced %[2]s by a better protected version",
			record.ActionBreakglassOpen:   "%[1]s was let in at your record in an emergency, which the data protection officer looks at",
			record.ActionBreakglassReview: "%[1]s looked at an emergency in which somebody was let in at your record",
			record.ActionGuardianAdd:      "%[1]s entered who acts for you, in %[2]s",
			record.ActionCorrect:          "%[1]s put right what your record says, in %[2]s",
			record.ActionUncorrect:        "%[1]s took back a correction of your record, in %[2]s",
			record.ActionCorrections:      "%[1]s looked at how your record was corrected, in %[2]s",
			record.ActionGuardianEnd:      "%[1]s ended what somebody may do for you, in %[2]s",
			record.ActionCaseRequest:      "%[1]s put a request about your data on record: %[2]s",
			record.ActionCaseList:         "%[1]s listed the requests about your data",
			record.ActionCaseRead:         "%[1]s read a request about your data: %[2]s",
			record.ActionCaseWork:         "%[1]s worked on a request about your data: %[2]s",
			record.ActionRestrict:         "%[1]s limited the processing of your data to storage and legal claims",
			record.ActionUnrestrict:       "%[1]s lifted the limit on the processing of your data",
			record.ActionDisclosePropose:  "%[1]s proposed to give a third party copies of your documents: %[2]s",
			record.ActionDiscloseApprove:  "%[1]s decided whether a third party is given copies of your documents: %[2]s",
			record.ActionDiscloseGive:     "%[1]s gave a third party the original of %[2]s",
			"record.stored":               "%[1]s stored a record: %[2]s",
			"object.copied":               "%[1]s made the promised copy of %[2]s",
			"object.removed":              "%[1]s removed %[2]s, in whose place another version stands",
			"keys.unwrapped":              "%[1]s took the keys of %[2]s into use",
			"patient.frozen":              "%[1]s closed %[2]s to all",
			"patient.thawed":              "%[1]s opened %[2]s again",
			"patient.erased":              "%[1]s destroyed %[2]s",
			"generation.erased":           "%[1]s destroyed the keys of before, and with them %[2]s",
			record.ActionErasePropose:     "%[1]s proposed to destroy %[2]s",
			record.ActionReadmit:          "%[1]s took you in again: %[2]s begins anew",
			record.ActionHoldAdd:          "%[1]s put a legal hold on %[2]s",
			record.ActionHoldLift:         "%[1]s lifted a legal hold on %[2]s",
			"erasure.certified":           "%[1]s certified that %[2]s is destroyed",
		},
		roles: map[record.Role]string{
			record.RoleRadiology: "radiology", record.RoleClinician: "clinician", record.RoleQuality: "quality control",
			record.RoleResearcher: "researcher", record.RoleOperator: "operator", record.RoleDPO: "data protection officer",
			record.RoleReviewer: "reviewer", record.RoleAuditor: "auditor", record.RoleAdmin: "administrator",
			record.RolePatient: "patient", record.RoleGuardian: "guardian", record.RoleInterface: "hospital system",
		},
		purposes: map[record.Purpose]string{
			record.PurposeTreat: "treatment", record.PurposeETreat: "emergency treatment", record.PurposePatient: "the patient's own request",
			record.PurposeOperate: "the running of the institution", record.PurposeQuality: "quality control", record.PurposeResearch: "research",
			record.PurposePayment: "payment", record.PurposeSystem: "the running of the vault", record.PurposeCompl: "supervision of compliance",
		},
	}, Chinese: {
		who: "%s（%s）", purpose: "，目的：%s", recipient: "，接收机构：%s", window: "；至 %s UTC 的重复读取并入本条",
		refused: "；该请求已被拒绝（%s）", deidentified: "（不含身份信息）", stop: "。",
		object: "文件 %s", matter: "事项 %s", given: "您的档案（数据包或回执 %s）", nothing: "您的档案",
		other: "%%[1]s 对 %%[2]s 执行了操作 %[1]s", tried: "%%[1]s 曾请求对 %%[2]s 执行操作 %[1]s",
		acts: map[record.Action]string{
			record.ActionStore:            "%[1]s 存入了%[2]s",
			record.ActionRead:             "%[1]s 读取了%[2]s",
			record.ActionSearch:           "%[1]s 在检索中找到了%[2]s并看到其概要",
			record.ActionExport:           "%[1]s 提供了%[2]s的副本",
			record.ActionProvide:          "%[1]s 应一项关于您数据的请求提供了%[2]s的原件",
			record.ActionCareAdd:          "%[1]s 在%[2]s中登记了诊疗关系",
			record.ActionCareEnd:          "%[1]s 在%[2]s中终止了诊疗关系",
			record.ActionCareList:         "%[1]s 查看了%[2]s中的诊疗人员",
			record.ActionAttest:           "%[1]s 查询了%[2]s的去标识过程",
			record.ActionAuditRead:        "%[1]s 在审计日志中查询了%[2]s",
			record.ActionAccessLog:        "%[1]s 读取了%[2]s的访问记录",
			record.ActionReviewRead:       "%[1]s 为审核能否展示而查看了%[2]s",
			record.ActionReviewRelease:    "%[1]s 放行了%[2]s的去标识版本",
			record.ActionReviewRefuse:     "%[1]s 扣留了%[2]s的去标识版本",
			record.ActionSupersede:        "%[1]s 以保护更好的版本替换了%[2]s",
			record.ActionBreakglassOpen:   "%[1]s 因紧急情况获准查阅您的档案，数据保护负责人将予以复核",
			record.ActionBreakglassReview: "%[1]s 复核了一次对您档案的紧急查阅",
			record.ActionGuardianAdd:      "%[1]s 在%[2]s中登记了代您行事的人",
			record.ActionCorrect:          "%[1]s 更正了您的个人信息：%[2]s",
			record.ActionUncorrect:        "%[1]s 撤销了对您个人信息的更正：%[2]s",
			record.ActionCorrections:      "%[1]s 查看了您个人信息的更正记录：%[2]s",
			record.ActionGuardianEnd:      "%[1]s 在%[2]s中终止了代您行事的授权",
			record.ActionCaseRequest:      "%[1]s 登记了一项关于您数据的请求：%[2]s",
			record.ActionCaseList:         "%[1]s 列出了关于您数据的请求",
			record.ActionCaseRead:         "%[1]s 查看了一项关于您数据的请求：%[2]s",
			record.ActionCaseWork:         "%[1]s 处理了一项关于您数据的请求：%[2]s",
			record.ActionRestrict:         "%[1]s 将您数据的处理限制为存储和法律主张",
			record.ActionUnrestrict:       "%[1]s 解除了对您数据处理的限制",
			record.ActionDisclosePropose:  "%[1]s 提议向第三方提供您文件的副本：%[2]s",
			record.ActionDiscloseApprove:  "%[1]s 决定了是否向第三方提供您文件的副本：%[2]s",
			record.ActionDiscloseGive:     "%[1]s 向第三方提供了%[2]s的原件",
			"record.stored":               "%[1]s 存入了一份记录：%[2]s",
			"object.copied":               "%[1]s 按承诺制作了%[2]s的备份",
			"object.removed":              "%[1]s 移除了已被新版本取代的%[2]s",
			"keys.unwrapped":              "%[1]s 启用了%[2]s的密钥",
			"patient.frozen":              "%[1]s 对所有人关闭了%[2]s",
			"patient.thawed":              "%[1]s 重新开放了%[2]s",
			"patient.erased":              "%[1]s 销毁了%[2]s",
			"generation.erased":           "%[1]s 销毁了原有密钥，并随之销毁%[2]s",
			record.ActionErasePropose:     "%[1]s 提议销毁%[2]s",
			record.ActionReadmit:          "%[1]s 重新接收了您：%[2]s从头开始",
			record.ActionHoldAdd:          "%[1]s 对%[2]s设置了法律保全",
			record.ActionHoldLift:         "%[1]s 解除了对%[2]s的法律保全",
			"erasure.certified":           "%[1]s 证明%[2]s已被销毁",
		},
		roles: map[record.Role]string{
			record.RoleRadiology: "影像科", record.RoleClinician: "临床医生", record.RoleQuality: "质量控制", record.RoleResearcher: "研究人员",
			record.RoleOperator: "运维人员", record.RoleDPO: "数据保护负责人", record.RoleReviewer: "审核人员", record.RoleAuditor: "审计人员",
			record.RoleAdmin: "管理员", record.RolePatient: "患者", record.RoleGuardian: "监护人", record.RoleInterface: "医院信息系统",
		},
		purposes: map[record.Purpose]string{
			record.PurposeTreat: "诊疗", record.PurposeETreat: "急救诊疗", record.PurposePatient: "患者本人请求", record.PurposeOperate: "机构运营",
			record.PurposeQuality: "质量控制", record.PurposeResearch: "科研", record.PurposePayment: "费用结算", record.PurposeSystem: "系统运行",
			record.PurposeCompl: "合规监督",
		},
	}}
}
