"""What a model card says about every face model of this project: uses, factors and ethics that no run can tell.

Sections and questions are those of Mitchell et al. 2019, "Model Cards for Model Reporting" (FAT*), section 4.
"""

STATED = {
    "developer": "person or organization developing the model",
    "date": "model date",
    "version": "model version",
    "licence": "licence of the weights",
    "contact": "where to send questions or comments",
    "citation": "citation details",
    "paper": "paper or other resource",
    "primary_use": "primary intended use",
    "users": "primary intended users",
    "consent": "consent and licence of the training data",
    "decisions": "decisions that the model informs, and about whom",
}
"""What only a person can say; `stated` of `eval.card` takes these keys."""

USE = """\
Made to describe facial *expressions* in pictures: action units (FACS), an expression label, and reasons in words, in a
form that can be checked (`<think>…</think><au>…</au><answer>…</answer>`).

Out of scope:

- What a person feels, intends, or is. An expression is no measurement of a state of mind (Barrett et al. 2019).
- Judging people: hiring, schooling, policing, border control, credit, insurance.
- Emotion recognition at work and in schools, which the EU AI Act forbids (Regulation 2024/1689, article 5(1)(f)).
- Identifying anybody, or telling gender, race or age from a face in order to treat people differently.
- Diagnosis and treatment, unless validated on the people it is meant for."""

FACTORS = """\
Relevant factors: age, gender and skin tone or ethnicity as the data label them; pose, light, occlusion and resolution;
posed or spontaneous expression; culture of those shown and of those who labelled. Labels of gender and race are those
of the data sets: assigned by others, binary in most, and no statement about identity."""

ETHICS = """\
Faces are personal data, and in many places biometric data. Labels of expressions carry the judgement of annotators,
mostly few and of one culture. A model that names expressions invites being read as one that knows feelings. Errors
fall unevenly: see the intersectional results, and where there are none, assume that it was not looked."""

CAVEATS = """\
- A score holds for its protocol, split and reader, and for no other; two numbers compare only where all agree.
- Intervals are 95 % percentile bootstrap intervals over people, where people are known. They hold the chance of the
  draw of test faces, not that of training: another seed gives another model.
- A gap that is not beyond chance is not shown to be absent.
- Before use on other people, cameras or expressions than those tested, test on them."""
