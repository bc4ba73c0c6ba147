package mention_test

import (
	"strings"
	"testing"

	"medvault/imaging/mention"
)

// clinical are texts that name nobody.
var clinical = []string{
	`CT CHEST WITH CONTRAST
TECHNIQUE: Axial images, 1.25 mm, 120 kV, 85 mAs, pitch 0.984:1, 80 ml Iohexol 350 mg/ml.
COMPARISON: None.
FINDINGS: The trachea and main bronchi are patent. Segments S1-S10 are aerated. HU 35/120. Nodule 12 x 8 x 9 mm in RUL (series 3, image 124).
LYMPH NODES: 4R 9 mm, 7 11 mm, 10L 6 mm. TNM: cT2a cN1 cM0, stage IIB. SUVmax 7.8. RECIST 1.1: target lesions 45 -> 32 mm (-29 %).
BONES: Compression fracture of T12. L4/L5 disc protrusion.
IMPRESSION: 1. Nodule, Lung-RADS 4B. 2. Follow-up in 3 months. 3. Correlation with PET-CT.`,

	`Laboratory: Hb 13.5 g/dL (12.0-15.5), WBC 6.2 x10^9/L, PLT 245, Na 139 mmol/L, K 4.1, creatinine 78 umol/L, eGFR 92 ml/min/1.73m2, CRP <5 mg/L.
PSA 1.234 ng/ml. HbA1c 6.8 % (51 mmol/mol). INR 1.02. pH 7.41, pCO2 40 mmHg. Ferritin 1234567 pg/ml.`,

	`Medication: Metformin 850 mg 1-0-1, Ramipril 5 mg 1-0-0, ASA 100 mg, Atorvastatin 40 mg at night. Allergies: penicillin, iodine contrast (rash).
ECG: sinus rhythm 72/min, QTc 412 ms, PR 160 ms. BP 128/76 mmHg, HR 64, SpO2 98 %, temperature 36.7 C, weight 71.5 kg, height 168 cm, BMI 25.3.`,

	`MR BRAIN: T1 MPRAGE, T2 FLAIR, DWI b1000, SWI. Dr of the cord: none. No Parkinson's or Alzheimer's pattern; Hashimoto thyroiditis known. Fazekas 1. Virchow-Robin spaces are prominent. Circle of Willis complete. Schmorl node at L2.
Baker cyst of the left knee. Hounsfield units. Bosniak II cyst. Child-Pugh A. Gleason 3+4. Broca and Wernicke areas intact. Kerley B lines.`,

	`The patient was stable. Her mother had breast cancer and her father died of stroke. His son has asthma. The referring department was informed. Patient tolerated the procedure. Name of drug: see chart. Contact with iodine: none. Read by two radiologists. Address the findings with the team. The doctor on call was informed. Operator dependent examination. Author's note: none.`,

	`胸部CT平扫+增强：双肺纹理增粗，右肺上叶尖段见一大小约12×8mm结节，边缘毛刺，CT值约35HU，增强后92HU。
纵隔4R组淋巴结短径9mm。肝S6段囊肿，直径15mm。胆囊结石。双肾未见异常。T12椎体压缩性骨折。
诊断意见：1.右肺上叶结节，Lung-RADS 4B类，建议三个月后复查。2.肝囊肿。3.冠状动脉钙化。`,

	`主诉：咳嗽、咳痰2周。现病史：患者2周前受凉后出现咳嗽，无发热。既往史：高血压病史10年，口服氨氯地平5mg每日一次；糖尿病5年。
父亲因脑梗死去世，母亲高血压，丈夫体健，儿子体健。家属表示理解。查体：体温36.5℃，脉搏78次/分，血压135/85mmHg。心律齐，未闻及杂音。
处理：阿莫西林0.5g口服一日三次；请心内科会诊；主任医师查房后同意目前治疗方案。年龄：53岁，体重70kg。单位：mmol/L。`,

	`白细胞计数 6.5 10^9/L 参考值 3.5-9.5；血红蛋白 135 g/L；血小板 230；丙氨酸氨基转移酶 25 U/L；肌酐 78 μmol/L；尿酸 320；总胆固醇 4.8 mmol/L。
检查方法：常规超声。甲状腺左叶大小约45×18×16mm，TI-RADS 3类。高密度影，白质高信号，金属伪影，方形体，石骨症，汤姆森病，毛玻璃影，温度正常，安静状态，平片，和前片比较，任何不适随诊。`,
}

// TestWordsSurvive asks that texts which name nobody stay as they are, whoever the
// patient is, and that few words go where they were read off pixels.
func TestWordsSurvive(t *testing.T) {
	for _, known := range []*mention.Known{zhang, black} {
		for _, text := range clinical {
			for _, p := range mention.FindText(text, known, mention.Normal) {
				t.Errorf("%v: %q in %q", p.Kind, text[p.Start:p.End], text[max(0, p.Start-20):min(len(text), p.End+20)])
			}
			words := len(strings.Fields(text))
			if strict := mention.FindText(text, known, mention.Strict); len(strict)*50 > words {
				for _, p := range strict {
					t.Logf("%v: %q", p.Kind, text[p.Start:p.End])
				}
				t.Errorf("%d of %d words go", len(strict), words)
			}
		}
	}
}
