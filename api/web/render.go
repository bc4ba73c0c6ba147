package web

import (
	"bytes"
	"fmt"
	"html/template"
	"slices"

	"github.com/gin-gonic/gin"

	"medvault/api/answer"
	"medvault/api/identity"
	"medvault/vault"
	"medvault/vault/record"
)

// frame is what every page shows around its own.
type frame struct {
	Lang  string
	Title string
	Actor record.Actor // nobody: not logged in
	CSRF  string
	Next  string // where the page leads by itself; "": nowhere
	Links []string
	Page  any

	Officer vault.Officer // whom everybody may write to
}

// render answers with a page for whoever asks.
func (w *Console) render(c *gin.Context, status int, name string, page any) {
	f := frame{Title: name, Actor: answer.Actor(c), Page: page}
	if f.Actor.ID != "" {
		f.CSRF = identity.CSRF(w.cfg.Sessions.Shown(c.Request))
		f.Links = links(f.Actor.Role)
	}
	w.show(c, status, f, name)
}

// show answers with a page. Nothing is sent before the whole page is made.
func (w *Console) show(c *gin.Context, status int, f frame, name string) {
	lang := answer.Language(c)
	f.Lang, f.Officer = lang, w.cfg.Vault.Officer()
	t, err := template.New("frame.html").Funcs(template.FuncMap{"t": func(key string) (string, error) { return say(lang, key) }, "clock": clock}).
		ParseFS(files, "pages/frame.html", "pages/"+name+".html")
	var body bytes.Buffer
	if err == nil {
		err = t.Execute(&body, f)
	}
	if err != nil {
		answer.Error(c, fmt.Errorf("page %s: %w", name, err))
		return
	}
	c.Header("Content-Language", lang)
	c.Writer.Header().Add("Vary", "Accept-Language, Cookie")
	c.Data(status, "text/html; charset=utf-8", body.Bytes())
}

// links are the pages that lead somewhere for a role. The policies decide all the same.
func links(role record.Role) []string {
	var list []string
	if role == record.RolePatient || role == record.RoleGuardian {
		list = append(list, "mine")
	}
	if !slices.Contains([]record.Role{record.RoleOperator, record.RoleAdmin, record.RoleAuditor, record.RoleDPO}, role) {
		list = append(list, "studies")
	}
	if slices.Contains([]record.Role{record.RoleOperator, record.RoleAdmin}, role) {
		list = append(list, "regions")
	}
	if slices.Contains([]record.Role{record.RoleDPO, record.RoleAuditor, record.RolePatient, record.RoleGuardian}, role) {
		list = append(list, "access-log")
	}
	return append(list, "sessions")
}

// say is a text of the console. One that is missing is an error, so that no page goes
// out with half its words.
func say(lang, key string) (string, error) {
	line, known := words()[key]
	if !known {
		return "", fmt.Errorf("no text for %q", key)
	}
	if lang == "zh" {
		return line[1], nil
	}
	return line[0], nil
}

// words are the texts, English and Chinese.
func words() map[string][2]string {
	return map[string][2]string{
		"home": {"Who I am", "我的身份"}, "studies": {"Studies", "检查"}, "regions": {"Regions", "存储区域"},
		"access-log": {"Access log", "访问记录"}, "sessions": {"My sessions", "我的会话"}, "login": {"Log in", "登录"},
		"logout": {"Log out", "退出"}, "refused": {"Refused", "被拒绝"}, "welcome": {"Logged in", "已登录"}, "leaving": {"To your organisation", "前往所在机构"}, "go-on": {"Go on", "继续"},
		"login-provider": {"Log in with your organisation's account.", "请使用所在机构的账号登录。"},
		"login-token":    {"This is a development vault. Paste a token of dev.json.", "这是开发环境。请粘贴 dev.json 中的令牌。"},
		"token":          {"Token", "令牌"}, "person": {"Person", "人员"}, "role": {"Role", "角色"}, "institution": {"Institution", "机构"},
		"country": {"Country", "国家或地区"}, "purpose": {"Purpose of use", "使用目的"}, "name": {"Name", "姓名"}, "standing": {"Standing", "状态"},
		"trained": {"Last training", "最近一次培训"}, "training-ends": {"Access ends without another training", "如不再培训，访问权限终止于"},
		"ends-soon": {"Ends soon", "即将到期"}, "unregistered": {"The staff register has no entry of this person.", "人员登记册中没有此人的记录。"},
		"patient": {"Patient", "患者"}, "patient-id": {"Patient ID", "患者编号"}, "date": {"Date", "日期"}, "description": {"Description", "描述"},
		"modalities": {"Modalities", "设备类型"}, "instances": {"Instances", "图像数"}, "search": {"Search", "查询"}, "none": {"Nothing to show.", "没有可显示的内容。"},
		"accession": {"Accession number", "检查号"}, "view": {"View", "视图"}, "more": {"More than shown here:", "未显示的数量："},
		"region": {"Region", "区域"}, "jurisdiction": {"Jurisdiction", "法域"}, "state": {"State", "状态"}, "reachable": {"Reachable", "可访问"},
		"objects": {"Objects", "对象数"}, "bytes": {"Bytes", "字节数"}, "pending": {"Copies pending", "待复制"}, "problem": {"Problem", "问题"},
		"yes": {"yes", "是"}, "no": {"no", "否"}, "patient-token": {"Patient token", "患者令牌"}, "when": {"When", "时间"}, "what": {"What", "内容"},
		"line": {"Line", "行"}, "next": {"Older", "更早"}, "began": {"Began", "开始"}, "used": {"Last used", "最近使用"}, "expires": {"Ends at the latest", "最迟结束"},
		"this": {"this session", "当前会话"}, "end": {"End", "结束"}, "idle": {"A session ends when it is not used for", "会话在以下时间内未使用即结束："},
		"mine": {"My data", "我的数据"}, "self": {"Myself", "本人"}, "mother": {"As mother of", "母亲，代"}, "father": {"As father of", "父亲，代"}, "guardian": {"As guardian of", "监护人，代"},
		"documents": {"Documents", "文件"}, "fetch": {"Fetch", "下载"}, "consents": {"Consents", "同意"}, "decision": {"Decision", "决定"}, "recipient": {"Recipient", "接收方"},
		"permit": {"agreed", "同意"}, "refuse": {"refused", "拒绝"}, "restrict": {"restricted", "限制"}, "withdrawn": {"withdrawn", "已撤回"}, "withdraw": {"Withdraw", "撤回"},
		"evidence": {"Id of the document in which it is written", "书面同意文件编号"}, "state-it": {"Put on record", "登记"}, "cases": {"Requests", "请求"}, "type": {"Type", "类型"},
		"answer-by": {"Answer due before", "答复期限"}, "text": {"In your words", "请说明"}, "ask": {"Send the request", "提交请求"},
		"access": {"A copy of my data", "查阅复制"}, "correction": {"Correction", "更正"}, "deletion": {"Deletion", "删除"}, "restriction": {"Restriction", "限制处理"},
		"portability": {"Transfer to another institution", "转移至其他机构"}, "inquiry": {"Question", "咨询"}, "complaint": {"Complaint", "投诉"},
		"open": {"open", "待处理"}, "in-progress": {"in progress", "处理中"}, "waiting": {"waiting for you", "等待您补充"}, "decided": {"decided", "已决定"}, "executed": {"done", "已执行"}, "closed": {"closed", "已结案"},
		"granted": {"granted", "准予"}, "partly-granted": {"partly granted", "部分准予"}, "answered": {"answered", "已答复"},
		"officer": {"Data protection officer", "数据保护负责人"},
		"request": {"Request", "请求编号"},
	}
}
