"""What each metric provider is asked, as AnalysisTemplates write it: one module per provider.

Argo Rollouts: pkg/apis/rollouts/v1alpha1/analysis_types.go. Every text may hold `{{args.x}}`.
"""
